"""Models that run on the transformers library: what is shown of them, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gptterm.engine.decoders.transformers_decoder import TransformersDecoder
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.inspection.answers import (
    AttentionView,
    HeadGrid,
    LensView,
    TokenView,
)
from gptterm.engine.inspection.requests import (
    AttentionRequest,
    HeadGridRequest,
    LensRequest,
    TokenRequest,
)
from gptterm.engine.text.tokenizer_files import load_tokenizer
from tests.engine import references
from tests.engine.checkpoints import ARCHITECTURES, draw_ids, load, make, save
from tests.engine.inspection.looks import failure_of, reference_ranks, result_of
from tests.engine.runs import request, run

IDS = draw_ids(40)
NAMES = ("gptj", "gpt-neox", "opt", "bloom", "gemma3", "granite", "olmo", "codegen", "cohere2")


def load_by_the_library(directory: Path) -> LocalEngine:
    """An engine whose decoder is the library's, though there may be a native one."""
    decoder = TransformersDecoder.load(directory, "cpu", "float32")
    return LocalEngine(decoder, load_tokenizer(directory, None), load(directory).info)


@pytest.mark.parametrize("name", NAMES)
def test_attention_and_lens(name: str, tmp_path: Path) -> None:
    model = make(ARCHITECTURES[name]())
    engine = load_by_the_library(save(model, tmp_path))
    usual = run(engine, request(IDS[:10])).ids()
    output = references.observe(model, IDS)
    for position in (39, 12):
        view = result_of(engine, AttentionRequest(ids=tuple(IDS), position=position), AttentionView)
        for found, expected in zip(view.weights.array(), output.attentions, strict=True):
            row = expected[0, :, position, : position + 1]
            np.testing.assert_allclose(found, row.numpy(), rtol=0, atol=1e-5)
    grid = result_of(engine, HeadGridRequest(ids=tuple(IDS), first=0, end=40), HeadGrid)
    first = torch.stack(output.attentions)[:, 0, :, :, 0].mean(-1)
    np.testing.assert_allclose(grid.statistics.array()[2], first.numpy(), rtol=0, atol=1e-5)
    lens = result_of(engine, LensRequest(ids=tuple(IDS), positions=(39, 12), limit=3), LensView)
    assert [(row.layer, row.point) for row in lens.rows] == [
        (layer, "input") for layer in range(len(output.hidden_states))
    ]
    logits_of = references.lens(model, output)
    for column in lens.columns:
        rows = logits_of[:, column.position]
        said = int(rows[-1].argmax())
        for cell, logits in zip(column.cells, rows, strict=True):
            logprobs = logits.double().log_softmax(-1)
            best = logprobs.topk(3)
            assert [a.logprob for a in cell.best] == pytest.approx(best.values.tolist(), abs=1e-4)
            assert cell.rank in reference_ranks(logits, said)
    assert run(engine, request(IDS[:10])).ids() == usual


@pytest.mark.parametrize("name", ["mamba", "lfm2"])
def test_a_model_without_attention(name: str, tmp_path: Path) -> None:
    model = make(ARCHITECTURES[name]())
    engine = load(save(model, tmp_path))
    failed = failure_of(engine, AttentionRequest(ids=tuple(IDS), position=3))
    assert failed.kind == "usage"
    assert type(model).__name__ in failed.message
    assert "attention" in failed.message
    assert failure_of(engine, HeadGridRequest(ids=tuple(IDS), first=0, end=9)) == failed
    result_of(engine, TokenRequest(ids=tuple(IDS), position=3), TokenView)
    lens = result_of(engine, LensRequest(ids=tuple(IDS), positions=(39,), limit=1), LensView)
    view = result_of(engine, TokenRequest(ids=tuple(IDS), position=40, limit=1), TokenView)
    assert view.distribution is not None
    assert lens.columns[0].cells[-1].best[0].id == view.distribution.candidates[0].id


def test_a_head_that_the_lens_does_not_know(tmp_path: Path) -> None:
    """A step behind the head is not found: nothing wrong is shown."""
    engine = load_by_the_library(save(make(ARCHITECTURES["gptj"]()), tmp_path))
    model = engine.decoder._model  # type: ignore[attr-defined]

    def twice(_module: Any, _inputs: Any, output: Any) -> Any:
        output.logits = 2 * output.logits
        return output

    model.register_forward_hook(twice)
    failed = failure_of(engine, LensRequest(ids=tuple(IDS), positions=(1,)))
    assert "lens" in failed.message
