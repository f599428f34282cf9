"""Scores of a reply's tokens: log probabilities and alternatives, packed to be kept with its text.

They exist where a generation was asked for log probabilities. A reply keeps those of its first
`MAX_TOKENS` tokens with `MAX_ALTERNATIVES` alternatives each, some 60 bytes a token when packed.
"""

import zlib
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec

from gptterm.conversation.spelling import Spelling, spell
from gptterm.engine.api import NO_ID, Token

MAX_TOKENS = 8192
MAX_ALTERNATIVES = 10
MAX_UNPACKED = 16 << 20
"""Bytes; a damaged or hostile history is not unpacked beyond it."""
MAX_PIECE = 256
"""Bytes of a token."""

_Offset = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
_Id = Annotated[int, msgspec.Meta(ge=NO_ID, lt=1 << 32)]


class ScoredAlternative(msgspec.Struct, frozen=True, array_like=True):
    """Another candidate for a token."""

    id: _Id
    piece: bytes
    """The token's own bytes."""
    logprob: float


class ScoredToken(msgspec.Struct, frozen=True, array_like=True):
    """One generated token with its score. It spells `text[start:end]` of its turn.

    A token that ends within a character spells nothing; the one that completes the character does.
    """

    id: _Id
    piece: bytes
    """The token's own bytes."""
    start: _Offset
    """In characters of the turn's text."""
    end: _Offset
    logprob: float
    """Natural logarithm of the model's probability, before penalties and filters."""
    alternatives: tuple[ScoredAlternative, ...] = ()


_decoder = msgspec.msgpack.Decoder(tuple[ScoredToken, ...])


def pack(tokens: Sequence[ScoredToken]) -> bytes:
    """Pack scores, within the bounds of this module; empty for none."""
    kept = tuple(
        msgspec.structs.replace(
            token,
            piece=token.piece[:MAX_PIECE],
            alternatives=tuple(
                msgspec.structs.replace(other, piece=other.piece[:MAX_PIECE])
                for other in token.alternatives[:MAX_ALTERNATIVES]
            ),
        )
        for token in tokens[:MAX_TOKENS]
    )
    return zlib.compress(msgspec.msgpack.encode(kept), 1) if kept else b""


def unpack(packed: bytes) -> tuple[ScoredToken, ...]:
    """Unpack scores; none if they are damaged."""
    if not packed:
        return ()
    try:
        return _decoder.decode(zlib.decompressobj().decompress(packed, MAX_UNPACKED))
    except (zlib.error, msgspec.MsgspecError):
        return ()


def score(tokens: Iterable[Token], text: str, start: int) -> list[ScoredToken]:
    """Score the tokens of a run by the text that they spell.

    Args:
        tokens: the run's, in order, of which those without a log probability get no score.
        text: what the run wrote. White space before it, and what follows it, may be missing from
            it: a transcript strips the one, and a stop text ends it before the other. It may go on
            behind the tokens: only so many are kept.
        start: characters of the turn before it.
    """
    tokens = list(tokens)
    raw = text.encode()
    spelling, begin = _spelling([token.piece for token in tokens], raw)
    if begin < 0 or not raw:
        return []
    starts = character_starts(text)
    found: list[ScoredToken] = []
    at = -begin
    for token, end in zip(tokens, spelling.ends, strict=True):
        begins, at = at, end - begin
        # Characters that are complete before and after the token.
        before, after = starts[_clamp(begins, raw)], starts[_clamp(at, raw)]
        if token.logprob is None or (at <= 0 and token.piece):
            continue
        if begins >= len(raw):
            break
        others = (
            ScoredAlternative(other.id, other.piece, other.logprob) for other in token.alternatives
        )
        found.append(
            ScoredToken(
                token.id, token.piece, start + before, start + after, token.logprob, tuple(others)
            )
        )
    return found


def _spelling(pieces: Sequence[bytes], raw: bytes) -> tuple[Spelling, int]:
    """Return what tokens spell, and where a text begins in it; -1 if they do not spell it."""
    whole = spell(pieces)
    if (begin := whole.raw.find(raw)) >= 0:
        return whole, begin
    first = spell(pieces, final=False)  # the text completes the last character
    space = len(first.raw) - len(first.raw.lstrip())
    return first, next((at for at in (0, space) if raw.startswith(first.raw[at:])), -1)


def _clamp(at: int, raw: bytes) -> int:
    return min(max(at, 0), len(raw))


def character_starts(text: str) -> Sequence[int]:
    """Number of characters that are complete after each number of bytes of the text."""
    if text.isascii():
        return range(len(text) + 1)
    complete = [0]
    for number, character in enumerate(text):
        complete += [number] * (len(character.encode()) - 1) + [number + 1]
    return complete
