"""The published models' shapes with random weights, against transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import GPTNeoConfig, OpenAIGPTConfig

from gptterm.engine.decoders import native
from gptterm.engine.files import read_json
from tests.engine.checkpoints import make

SHAPES = {
    "openai-gpt": lambda layers: OpenAIGPTConfig(n_layer=layers),
    "gpt-neo-125m": lambda layers: GPTNeoConfig(
        hidden_size=768,
        num_layers=layers,
        num_heads=12,
        attention_types=[[["global", "local"], layers // 2]],
    ),
}


def compare(config: transformers.PretrainedConfig, directory: Path, length: int) -> None:
    """Every position's logits, fed in chunks and one by one, with those of one pass."""
    # Of about the published weights' size.
    model = make(config, scale=0.04)
    model.save_pretrained(directory)
    decoder = native.load(directory, read_json(directory / "config.json"), "cpu", "float32")
    assert decoder is not None
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, config.vocab_size, (1, length), generator=generator)
    with torch.inference_mode():
        expected: Any = model(ids, use_cache=False).logits[0]
    cache, at = decoder.new_cache(), 0
    for size in [1] * 8 + [100, 1, 60] + [1] * length:
        found = decoder.forward(ids[:, at : at + size], cache)
        at += size
        assert found is not None
        torch.testing.assert_close(found[0], expected[at - 1], rtol=0, atol=1e-4)
        if at == length:
            return


@pytest.mark.parametrize("name", SHAPES)
def test_two_layers(name: str, tmp_path: Path) -> None:
    compare(SHAPES[name](2), tmp_path, 300)  # beyond GPT-Neo's window of 256


@pytest.mark.slow
@pytest.mark.parametrize(("name", "length"), [("openai-gpt", 512), ("gpt-neo-125m", 600)])
def test_all_layers(name: str, length: int, tmp_path: Path) -> None:
    compare(SHAPES[name](12), tmp_path, length)
