"""Objects that `--json` prints for what an engine's inspection has found: full numbers."""

from typing import Any

import msgspec

from gptterm.cli.results import piece_object
from gptterm.engine.api import Alternative, NextToken, Piece
from gptterm.engine.inspection.answers import (
    HEAD_STATISTICS,
    AttentionMap,
    AttentionView,
    HeadGrid,
    LensCell,
    LensView,
    Numbers,
    TokenScore,
    TokenView,
)


def pieces_object(pieces: tuple[Piece, ...]) -> list[dict[str, Any]]:
    """Tokens of a text."""
    return [{"id": each.id, **piece_object(each.piece)} for each in pieces]


def alternatives_object(alternatives: tuple[Alternative, ...]) -> list[dict[str, Any]]:
    """Tokens with their log probabilities."""
    return [
        {"id": each.id, **piece_object(each.piece), "logprob": each.logprob}
        for each in alternatives
    ]


def score_object(token: TokenScore) -> dict[str, Any]:
    """A token and its scores."""
    fields: dict[str, Any] = {
        "id": token.id,
        **piece_object(token.piece),
        "logprob": token.logprob,
        "rank": token.rank,
        "entropy_bits": token.entropy_bits,
    }
    if token.alternatives:
        fields["alternatives"] = alternatives_object(token.alternatives)
    return fields


def next_object(view: TokenView) -> dict[str, Any]:
    """A next-token distribution; `text`: the token that the text has there."""
    return {
        "position": view.position,
        "window_start": view.window_start,
        "text": None if view.score is None else score_object(view.score),
        "text_used": view.used,
        "text_cut": view.cut,
        "distribution": None if view.distribution is None else _distribution(view.distribution),
    }


def _distribution(found: NextToken) -> dict[str, Any]:
    fields = msgspec.structs.asdict(found)
    fields["candidates"] = [
        {
            "id": each.id, **piece_object(each.piece), "raw": each.raw, "used": each.used,
            "cut": each.cut,
        }
        for each in found.candidates
    ]  # fmt: skip
    return fields


def attention_object(view: AttentionView) -> dict[str, Any]:
    """One token's attention: `weights` is layers × heads × positions."""
    return {
        "position": view.position,
        "window_start": view.window_start,
        "weights": _nested(view.weights),
        "statistics": _statistics(view.statistics),
    }


def map_object(found: AttentionMap) -> dict[str, Any]:
    """One head's attention: `weights` is attending × attended positions."""
    return {
        "layer": found.layer,
        "head": found.head,
        "first": found.first,
        "window_start": found.window_start,
        "weights": _nested(found.weights),
    }


def heads_object(grid: HeadGrid) -> dict[str, Any]:
    """Statistics of all heads: each is layers × heads."""
    return {"positions": grid.rows, "statistics": _statistics(grid.statistics)}


def lens_object(view: LensView) -> dict[str, Any]:
    """The logit lens: for each position the cells by `rows`."""
    return {
        "rows": [{"layer": row.layer, "point": row.point} for row in view.rows],
        "columns": [
            {
                "position": column.position,
                "window_start": column.window_start,
                "cells": [_cell(cell) for cell in column.cells],
            }
            for column in view.columns
        ],
    }


def _cell(cell: LensCell) -> dict[str, Any]:
    return {**msgspec.structs.asdict(cell), "best": alternatives_object(cell.best)}


def _statistics(numbers: Numbers) -> dict[str, Any]:
    return dict(zip(HEAD_STATISTICS, _nested(numbers), strict=True))


def _nested(numbers: Numbers) -> Any:
    return numbers.array().tolist()
