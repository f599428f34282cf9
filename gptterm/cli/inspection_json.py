"""Objects that `--json` prints for what an engine's inspection has found: full numbers."""

from typing import Any

import msgspec

from gptterm.cli.results import piece_object
from gptterm.engine.api import Alternative, NextToken, Piece
from gptterm.engine.inspection.requests import TokenScore, TokenView


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
