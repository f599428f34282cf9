"""Views of attention: one token's over the past, one head's over a window, all heads' statistics.

`hide_first` takes out position 0, the attention sink (Xiao et al., 2023), and lets the other
weights sum to 1 again.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gptterm.charts.cells import piece_text, probability
from gptterm.charts.figure import Cell, Column, Matrix, Section, Table, TintedToken, TokenText
from gptterm.charts.scales import HEAD_ENTROPY, WEIGHT, Scale
from gptterm.engine.api import Piece
from gptterm.engine.inspection.answers import (
    HEAD_STATISTICS,
    AttentionMap,
    AttentionView,
    HeadStatistic,
    Numbers,
)

MOST_HEADS = 12
"""Rows of a table of heads."""
MOST_BARS = 12
"""Positions in a table of one row of weights."""
WITHOUT_FIRST = "without the first token"
_NAMES = {
    "entropy": "entropy",
    "max": "largest weight",
    "first": "weight of the first token",
    "previous": "weight of the token before",
    "induction": "weight of what followed the token earlier",
}
Weights = NDArray[np.float32]


def without_first(weights: Weights, window_start: int) -> Weights:
    """Weights with that of position 0 taken out, where the window shows it."""
    if window_start > 0 or weights.shape[-1] < 2:
        return weights
    kept = weights.copy()
    kept[..., 0] = 0
    total = kept.sum(-1, keepdims=True)
    np.divide(kept, total, out=kept, where=total > 0)
    return kept


def attention_sections(
    view: AttentionView,
    pieces: Sequence[Piece],
    head: tuple[int, int] | None,
    *,
    hide_first: bool,
) -> Iterator[Section]:
    """Attention of one token: the text tinted, the weights, the heads with the largest ones.

    Args:
        pieces: the whole text.
        head: layer and head, counted from 0; None: the mean of all.
    """
    weights = view.weights.array()
    if hide_first:
        weights = without_first(weights, view.window_start)
    row = weights.mean((0, 1)) if head is None else weights[head]
    whose = "mean of all heads" if head is None else head_name(*head)
    shown = pieces[view.window_start : view.position + 1]
    title = f"attention of {piece_text(pieces[view.position].piece)} at {view.position}, {whose}"
    notes = [WITHOUT_FIRST] if hide_first and view.window_start == 0 else []
    yield Section(title, _tinted(shown, row, view.window_start), notes)
    yield Section("most attended", _most_attended(shown, row, view.window_start))
    others = ["bits and what follows are of all weights, that of the first token too"]
    heads = _head_table(view, weights, shown)
    yield Section("heads with the largest weights", heads, others if notes else [])


def head_name(layer: int, head: int) -> str:
    """A head's name, counted from 0 as papers do."""
    return f"layer {layer} · head {head}"


def _tinted(shown: Sequence[Piece], row: Weights, start: int) -> TokenText:
    last = len(shown) - 1
    tokens = [
        TintedToken(
            each.piece, weight, f"{start + i}: {piece_text(each.piece)} {weight:.4f}", i == last
        )
        for i, (each, weight) in enumerate(zip(shown, row.tolist(), strict=True))
    ]
    return TokenText(tokens, WEIGHT, start)


def _most_attended(shown: Sequence[Piece], row: Weights, start: int) -> Table:
    best = np.argsort(-row, kind="stable")[:MOST_BARS].tolist()
    rows = [
        (
            Cell(str(start + i), start + i, dim=True),
            Cell(piece_text(shown[i].piece), shown[i].piece),
            Cell(probability(row[i]), float(row[i]), tint=float(row[i])),
            Cell("", bar=float(row[i])),
        )
        for i in sorted(best)
    ]
    columns = (
        Column("position", right=True, optional=2),
        Column("token"),
        Column("weight", right=True),
        Column("share", optional=1),
    )
    return Table(columns, rows, WEIGHT)


def _head_table(view: AttentionView, weights: Weights, shown: Sequence[Piece]) -> Table:
    """The heads whose largest weight is on another token than the first, hardest first."""
    largest = weights[..., 1:].max(-1) if weights.shape[-1] > 1 else weights.max(-1)
    order = np.argsort(-largest, axis=None, kind="stable")[:MOST_HEADS].tolist()
    statistics = view.statistics.array()
    rows = []
    for layer, head in (divmod(i, largest.shape[1]) for i in order):
        row = weights[layer, head]
        at = int(row[1:].argmax()) + 1 if len(row) > 1 else 0
        numbers = [float(statistics[i, layer, head]) for i in range(len(HEAD_STATISTICS))]
        rows.append(
            [
                Cell(head_name(layer, head), f"{layer}.{head}"),
                Cell(piece_text(shown[at].piece), shown[at].piece),
                Cell(str(view.window_start + at), view.window_start + at, dim=True),
                Cell(probability(row[at]), float(row[at]), tint=float(row[at])),
                Cell(f"{numbers[0]:.1f}", numbers[0]),
                *(Cell(probability(value), value) for value in numbers[2:]),
            ]
        )
    columns = (
        Column("head", least=18),
        Column("attends to"),
        Column("at", right=True, optional=5),
        Column("weight", right=True),
        Column("bits", right=True, optional=4),
        Column("first", right=True, optional=3),
        Column("previous", right=True, optional=2),
        Column("induction", right=True, optional=1),
    )
    return Table(columns, rows, WEIGHT)


def map_section(found: AttentionMap, pieces: Sequence[Piece], *, hide_first: bool) -> Section:
    """One head's attention, of each token of a window over the past."""
    weights = found.weights.array().copy()
    if hide_first:
        weights = without_first(weights, found.window_start)
    rows, columns = weights.shape
    offset = found.first - found.window_start
    # What is behind a token has no weight: it is not seen.
    weights[np.arange(columns)[None] > offset + np.arange(rows)[:, None]] = np.nan
    return Section(
        f"attention of {head_name(found.layer, found.head)}",
        Matrix(
            weights,
            WEIGHT,
            [piece_text(each.piece) for each in pieces[found.first : found.first + rows]],
            [piece_text(each.piece) for each in pieces[found.window_start :][:columns]],
            ("attending token", "attended token"),
        ),
        (WITHOUT_FIRST,) if hide_first and found.window_start == 0 else (),
    )


def head_title(statistics: Numbers, statistic: HeadStatistic, head: tuple[int, int] | None) -> str:
    """A head's name with its statistic: `layer 2 · head 1 · induction .93`."""
    if head is None:
        return "mean of all heads"
    value = float(statistics.array()[(HEAD_STATISTICS.index(statistic), *head)])
    return f"{head_name(*head)} · {statistic} {_scale(statistic).write(value)}"


def _scale(statistic: HeadStatistic) -> Scale:
    return HEAD_ENTROPY if statistic == "entropy" else WEIGHT


def heads_section(
    statistics: Numbers,
    statistic: HeadStatistic,
    scope: str,
    marked: tuple[int, int] | None = None,
    most: int | None = None,
) -> Section:
    """Every head's statistic, layers by heads.

    Args:
        statistics: of an `AttentionView` or a `HeadGrid`.
        scope: what they are about.
        marked: the chosen head.
        most: layers that there is room for: those around the chosen head, else the largest value.
    """
    values = statistics.array()[HEAD_STATISTICS.index(statistic)]
    layers, heads = values.shape
    scale = _scale(statistic)
    best = np.unravel_index(values.argmax(), values.shape)
    name = head_name(int(best[0]), int(best[1]))
    notes = [f"largest: {name}, {scale.write(float(values[best]))}"]
    first, shown = 0, min(layers, most or layers)
    if shown < layers:
        middle = int(best[0]) if marked is None else marked[0]
        first = min(max(0, middle - shown // 2), layers - shown)
        notes.append(f"layers {first} to {first + shown - 1} of {layers}")
    return Section(
        f"heads: {_NAMES[statistic]}, {scope}",
        Matrix(
            values[first : first + shown],
            scale._replace(name=_NAMES[statistic]),
            [str(layer) for layer in range(first, first + shown)],
            [str(head) for head in range(heads)],
            ("layer", "head"),
            numbers=True,
            marked=None if marked is None else (marked[0] - first, marked[1]),
        ),
        notes,
    )
