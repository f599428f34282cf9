"""Scores of tokens in JSON exports."""

from collections.abc import Iterable

import msgspec

from gptterm.conversation.nodes import Node
from gptterm.conversation.token_scores import ScoredAlternative, ScoredToken, pack, unpack
from gptterm.engine.api import NO_ID


class TokenObject(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A token or an alternative as JSON has it."""

    text: str
    logprob: float
    id: int = NO_ID
    bytes: tuple[int, ...] = ()
    """Of a token that is not valid UTF-8 by itself."""
    span: tuple[int, int] = (0, 0)
    """The characters of the turn's text that the token spells."""
    alternatives: tuple["TokenObject", ...] = ()


def to_objects(node: Node) -> tuple[TokenObject, ...]:
    """A turn's scores for JSON."""
    return tuple(
        _object(
            token.id, token.piece, token.logprob, span=(token.start, token.end),
            alternatives=tuple(_object(o.id, o.piece, o.logprob) for o in token.alternatives),
        )
        for token in unpack(node.scores)
    )  # fmt: skip


def _object(
    token_id: int,
    piece: bytes,
    logprob: float,
    *,
    span: tuple[int, int] = (0, 0),
    alternatives: tuple[TokenObject, ...] = (),
) -> TokenObject:
    text = piece.decode("utf-8", "replace")
    partial = () if text.encode() == piece else tuple(piece)
    return TokenObject(
        text=text, logprob=logprob, id=token_id, bytes=partial, span=span, alternatives=alternatives
    )


def from_objects(objects: Iterable[TokenObject]) -> bytes:
    """Pack the scores of a JSON export.

    Raises:
        ValueError: a value is out of range.
    """
    return pack([_token(one) for one in objects])


def _token(one: TokenObject) -> ScoredToken:
    start, end = one.span
    others = (
        ScoredAlternative(_checked(o.id, NO_ID), _piece(o), o.logprob) for o in one.alternatives
    )
    return ScoredToken(
        _checked(one.id, NO_ID), _piece(one), _checked(start), _checked(end), one.logprob,
        tuple(others),
    )  # fmt: skip


def _checked(value: int, least: int = 0) -> int:
    if not least <= value < 1 << 32:
        raise ValueError(f"{value} is out of range")
    return value


def _piece(one: TokenObject) -> bytes:
    return bytes(one.bytes) if one.bytes else one.text.encode("utf-8", "replace")
