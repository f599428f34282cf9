"""Greedy text in float32, token for token as `transformers.generate` writes it."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gptterm.engine.api import SamplingParams
from tests.engine.checkpoints import ARCHITECTURES, draw_ids, gpt2, load, make, save
from tests.engine.runs import request, run

PROMPT = draw_ids(30, seed=3)
TOKENS = 50
"""Past the windows, the switch of LongRoPE and a block of keys."""
LONG = 300


def by_library(model: Any, count: int, **options: Any) -> list[int]:
    prompt = torch.tensor([PROMPT])
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    written = model.generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        max_new_tokens=count,
        do_sample=False,
        **options,
    )
    ids: list[int] = written[0, len(PROMPT) :].tolist()
    return ids


# The library's `generate` passes RoBERTa positions from 0 on; the model was trained with others,
# which its forward pass computes itself.
@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name != "roberta"])
def test_greedy_text_is_the_librarys(name: str, tmp_path: Path) -> None:
    model = make(ARCHITECTURES[name](), seed=1)
    engine = load(save(model, tmp_path))
    found = run(engine, request(PROMPT, max_tokens=TOKENS)).ids()
    assert found == by_library(model, TOKENS)


@pytest.mark.parametrize("decoder", ["native", "transformers"])
@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_a_long_greedy_text_is_the_librarys(decoder: str, penalty: float, tmp_path: Path) -> None:
    changes = {} if decoder == "native" else {"activation_function": "gelu"}
    model = make(gpt2(n_positions=512, **changes), seed=2)
    engine = load(save(model, tmp_path))
    assert engine.info.decoder == decoder
    sampling = SamplingParams(temperature=0.0, repetition_penalty=penalty)
    found = run(engine, request(PROMPT, max_tokens=LONG, sampling=sampling)).ids()
    assert found == by_library(model, LONG, repetition_penalty=penalty)
    assert len(set(found)) > 10
