"""Attention weights, held against transformers' eager attention, and the statistics of heads."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.inspection.answers import (
    HEAD_STATISTICS,
    AttentionMap,
    AttentionView,
    HeadGrid,
)
from gptterm.engine.inspection.attention import head_statistics
from gptterm.engine.inspection.requests import (
    AttentionMapRequest,
    AttentionRequest,
    HeadGridRequest,
)
from tests.engine.checkpoints import POSITIONS, draw_ids
from tests.engine.inspection.looks import events_of, failure_of, progress_of, result_of
from tests.engine.references import observe

IDS = [*draw_ids(30), *draw_ids(30)[:15]]
"""With repetitions, for induction."""


def reference(model: Any, ids: list[int]) -> Tensor:
    """(layers, heads, n, n) weights."""
    return torch.stack([layer[0] for layer in observe(model, ids).attentions])


def oracle(row: Tensor, ids: list[int]) -> list[float]:
    """Statistics of one row by their definitions, in float64."""
    weights, own = row.double().tolist(), len(row) - 1
    return [
        -sum(w * math.log2(w) for w in weights if w > 0),
        max(weights),
        weights[0],
        weights[own - 1] if own else 0.0,
        sum(w for i, w in enumerate(weights) if i and ids[i - 1] == ids[own]),
    ]


def close(found: NDArray[Any], expected: Any, atol: float = 1e-5) -> None:
    np.testing.assert_allclose(found, np.asarray(expected), rtol=0, atol=atol)


def test_a_row_of_every_head(native: tuple[Any, LocalEngine]) -> None:
    model, engine = native
    expected = reference(model, IDS)
    for position in (44, 0, 20):
        asked = AttentionRequest(ids=tuple(IDS), position=position)
        view = result_of(engine, asked, AttentionView)
        assert (view.position, view.window_start) == (position, 0)
        rows = expected[:, :, position, : position + 1]
        close(view.weights.array(), rows)
        statistics = [[oracle(row, IDS[: position + 1]) for row in layer] for layer in rows]
        close(view.statistics.array(), np.moveaxis(np.array(statistics), -1, 0), 1e-4)


def test_a_map_and_the_grid(native: tuple[Any, LocalEngine]) -> None:
    model, engine = native
    expected = reference(model, IDS)
    asked = AttentionMapRequest(ids=tuple(IDS), layer=1, head=2, first=10, end=40)
    found = result_of(engine, asked, AttentionMap)
    assert (found.layer, found.head, found.first, found.window_start) == (1, 2, 10, 0)
    close(found.weights.array(), expected[1, 2, 10:40, :40])
    grid = result_of(engine, HeadGridRequest(ids=tuple(IDS), first=10, end=45), HeadGrid)
    assert grid.rows == 35
    means = np.mean(
        [
            [[oracle(head[q, : q + 1], IDS[: q + 1]) for head in layer] for layer in expected]
            for q in range(10, 45)
        ],
        axis=0,
    )
    assert grid.statistics.array().shape == (len(HEAD_STATISTICS), *means.shape[:2])
    close(grid.statistics.array(), np.moveaxis(means, -1, 0), 1e-4)


def test_beyond_the_context(model: Any, engine: LocalEngine) -> None:
    """Each position is seen through a window, which the map of many positions shares."""
    ids = draw_ids(300)
    sums = np.zeros((len(HEAD_STATISTICS), 3, 4))
    for position in range(120, 200):
        asked = AttentionRequest(ids=tuple(ids), position=position)
        view = result_of(engine, asked, AttentionView)
        start = view.window_start
        assert (start == 0) == (position < POSITIONS)
        assert POSITIONS // 2 <= position + 1 - start <= POSITIONS
        if position % 20 == 0:
            expected = reference(model, ids[start : position + 1])
            close(view.weights.array(), expected[:, :, -1])
        sums += view.statistics.array()
    grid = result_of(engine, HeadGridRequest(ids=tuple(ids), first=120, end=200), HeadGrid)
    close(grid.statistics.array(), sums / 80, 1e-4)
    asked_map = AttentionMapRequest(ids=tuple(ids), layer=0, head=0, first=150, end=278)
    found = result_of(engine, asked_map, AttentionMap)
    assert found.window_start == 150
    close(found.weights.array(), reference(model, ids[150:278])[0, 0])


def test_in_small_passes(engine: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The weights of a long text are never together."""
    asked = HeadGridRequest(ids=tuple(IDS), first=0, end=45)
    whole = result_of(engine, asked, HeadGrid)
    monkeypatch.setattr("gptterm.engine.inspection.attention._WEIGHTS_BYTES", 4 * 3 * 4 * 45 * 10)
    events = events_of(engine, asked)
    assert progress_of(events)[-5:] == [(10, 45), (20, 45), (30, 45), (40, 45), (45, 45)]
    assert isinstance(events[-1], HeadGrid)
    close(events[-1].statistics.array(), whole.statistics.array(), 1e-6)


def test_places_that_do_not_exist(engine: LocalEngine) -> None:
    ids = tuple(draw_ids(200))
    for layer, head, message in (
        (3, 0, "layer must be from 0 to 2, not 3"),
        (0, 4, "head must be from 0 to 3, not 4"),
        (0, 0, "at most 128 positions fit the context, not 200"),
    ):
        asked = AttentionMapRequest(ids=ids, layer=layer, head=head, first=0, end=200)
        failed = failure_of(engine, asked)
        assert (failed.kind, failed.message) == ("usage", message)


def test_induction_of_a_repetition() -> None:
    """The token after an earlier occurrence, the row's own included."""
    ids = np.array([5, 6, 7, 5, 5])
    weights = np.full((1, 1, 5), 0.2, np.float32)
    weights[0, 0] = [0.1, 0.2, 0.3, 0.15, 0.25]
    found = head_statistics(weights, ids)[:, 0, 0]
    names = dict(zip(HEAD_STATISTICS, found.tolist(), strict=True))
    assert names["induction"] == pytest.approx(0.2 + 0.25)
    assert names["previous"] == pytest.approx(0.15)
