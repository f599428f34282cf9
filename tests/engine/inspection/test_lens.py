"""The logit lens, held against transformers' hidden states."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.inspection.answers import LensCell, LensView
from gptterm.engine.inspection.requests import LensRequest
from tests.engine.checkpoints import POSITIONS, draw_ids
from tests.engine.inspection.looks import reference_ranks, result_of
from tests.engine.references import lens, observe

IDS = draw_ids(40)


def reference(model: Any, ids: list[int]) -> Tensor:
    """(layers + 1, n, vocabulary) log probabilities: each layer's, and the model's own."""
    return lens(model, observe(model, ids)).double().log_softmax(-1)


def check(cell: LensCell, expected: Tensor, final: Tensor, following: int | None) -> None:
    best = expected.topk(4)
    assert [a.id for a in cell.best] == best.indices.tolist()
    assert [a.logprob for a in cell.best] == pytest.approx(best.values.tolist(), abs=1e-4)
    said = int(final.argmax())
    assert cell.probability == pytest.approx(math.exp(expected[said]), abs=1e-4)
    assert cell.rank in reference_ranks(expected, said)
    assert cell.entropy_bits == pytest.approx(
        -float((expected.exp() * expected).sum()) / math.log(2), abs=1e-4
    )
    assert cell.kl == pytest.approx(float((final.exp() * (final - expected)).sum()), abs=1e-4)
    if following is None:
        assert (cell.next_probability, cell.next_rank) == (None, None)
    else:
        assert cell.next_probability == pytest.approx(math.exp(expected[following]), abs=1e-4)
        assert cell.next_rank in reference_ranks(expected, following)


def test_every_layer_at_some_positions(native: tuple[Any, LocalEngine]) -> None:
    model, engine = native
    expected = reference(model, IDS)
    asked = LensRequest(ids=tuple(IDS), positions=(39, 11, 10, 12, 0), limit=4)
    view = result_of(engine, asked, LensView)
    layers = len(expected) - 1
    assert [(row.layer, row.point) for row in view.rows] == [
        *((layer, point) for layer in range(layers) for point in ("input", "attention")),
        (layers, "input"),
    ]
    assert [column.position for column in view.columns] == [39, 11, 10, 12, 0]
    for column in view.columns:
        position = column.position
        following = IDS[position + 1] if position < 39 else None
        for cell, row in zip(column.cells, view.rows, strict=True):
            if row.point == "input":
                final = expected[-1, position]
                check(cell, expected[row.layer, position], final, following)
        last = column.cells[-1]
        assert (last.rank, last.best[0].id) == (1, int(expected[-1, position].argmax()))
        assert last.kl == pytest.approx(0, abs=1e-6)


def test_without_what_is_within_blocks(engine: LocalEngine) -> None:
    whole = result_of(engine, LensRequest(ids=tuple(IDS), positions=(5, 6)), LensView)
    plain = LensRequest(ids=tuple(IDS), positions=(5, 6), attention=False)
    view = result_of(engine, plain, LensView)
    assert {row.point for row in view.rows} == {"input"}
    for column, usual in zip(view.columns, whole.columns, strict=True):
        cells = [c for c, r in zip(usual.cells, whole.rows, strict=True) if r.point == "input"]
        assert [cell.rank for cell in column.cells] == [cell.rank for cell in cells]


def test_after_attention(model: Any, engine: LocalEngine) -> None:
    """The input of a block's second norm."""
    middle: list[Tensor] = []
    hooks = [
        block.ln_2.register_forward_pre_hook(lambda _m, inputs: middle.append(inputs[0]))
        for block in model.transformer.h
    ]
    with torch.inference_mode():
        model(torch.tensor([IDS]))
    for hook in hooks:
        hook.remove()
    view = result_of(engine, LensRequest(ids=tuple(IDS), positions=(7,), limit=1), LensView)
    cells = [c for c, r in zip(view.columns[0].cells, view.rows, strict=True) if r.point != "input"]
    for cell, hidden in zip(cells, middle, strict=True):
        with torch.inference_mode():
            logits = model.lm_head(model.transformer.ln_f(hidden))[0, 7].double().log_softmax(0)
        assert cell.best[0].id == int(logits.argmax())
        assert cell.best[0].logprob == pytest.approx(float(logits.max()), abs=1e-4)


def test_beyond_the_context(model: Any, engine: LocalEngine) -> None:
    ids = draw_ids(300)
    positions = tuple(range(POSITIONS - 3, POSITIONS + 3))
    view = result_of(engine, LensRequest(ids=tuple(ids), positions=positions, limit=4), LensView)
    for column in view.columns:
        assert (column.window_start == 0) == (column.position < POSITIONS)
        expected = reference(model, ids[column.window_start : column.position + 1])[:, -1]
        check(column.cells[0], expected[0], expected[-1], ids[column.position + 1])


def test_no_positions(engine: LocalEngine) -> None:
    assert result_of(engine, LensRequest(ids=(1,), positions=()), LensView).columns == ()
