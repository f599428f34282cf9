"""Tints of a text while it is streamed, by a measure of its tokens.

Text comes later than its tokens, and not in their pieces: characters are held back until they are
whole, and what could be the beginning of a stop text until it is not.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

from gptterm.charts.measures import SCALES, Measure
from gptterm.conversation.spelling import spell
from gptterm.conversation.token_scores import character_starts
from gptterm.engine.api import Token
from gptterm.tui.state.tints import Tint


class _Values(NamedTuple):
    """Values that tint a part of the text, by measure; NaN: not known."""

    surprisal: float = 0.0
    rank: float = 0.0
    entropy: float = 0.0

    @classmethod
    def of(cls, token: Token) -> "_Values":
        return cls(
            math.nan if token.logprob is None else max(0.0, -token.logprob / math.log(2)),
            math.nan if token.rank is None else token.rank,
            math.nan if token.entropy_bits is None else token.entropy_bits,
        )

    def plus(self, other: "_Values") -> "_Values":
        """Of a part that both tokens spell: see `tints`."""
        return _Values(
            self.surprisal + other.surprisal,
            math.nan if math.isnan(self.rank) else max(other.rank, self.rank),
            math.nan if math.isnan(self.entropy) else max(other.entropy, self.entropy),
        )


class _Unseen(NamedTuple):
    """Bytes that have not been seen as text yet, and the values of their token."""

    piece: bytes
    values: _Values
    is_rest: bool = False
    """Others of the token have been seen."""

    @property
    def counted(self) -> _Values:
        """The values for what the bytes spell: the beginning of a character is no part of what
        its token is counted for a second time."""
        begins = self.is_rest and self.piece.decode(errors="ignore") == ""
        return _Values() if begins else self.values


class StreamTints:
    """Matches the tokens of one reply to the text that they spell, in order."""

    def __init__(self) -> None:
        self._tokens: list[_Unseen] = []
        self._pending = _Values()
        """Of tokens that ended within the next character."""
        self._has_begun = False
        self._parts: list[tuple[int, int, _Values]] = []
        """Of the text that was cut: start, end, and what tints it."""
        self._length = 0
        """Characters of that text."""

    def add(self, token: Token) -> None:
        """Take a token; what is not known of it tints nothing."""
        self._tokens.append(_Unseen(token.piece, _Values.of(token)))

    def cut(self, text: str, measure: Measure | None) -> tuple[Tint, ...]:
        """Return the tints of the next part of the text, None: without any; the rest waits."""
        begin, known = self._length, len(self._parts)
        self._match(text)
        new = _tints(self._parts[known:], measure)
        return tuple((start - begin, end - begin, step) for start, end, step in new)

    def tints(self, measure: Measure | None) -> tuple[Tint, ...]:
        """Return the tints of all parts so far."""
        return _tints(self._parts, measure)

    def _match(self, text: str) -> None:
        """Take the next part of the text."""
        raw, starts = text.encode(), character_starts(text)
        self._spell(raw)
        if not self._has_begun and raw:
            self._has_begun = True
            self._skip_to(raw)
        at = done = 0
        while at < len(raw) and self._tokens:
            token = self._tokens.pop(0)
            taken = min(len(token.piece), len(raw) - at)
            self._pending = self._pending.plus(token.counted)
            if rest := token.piece[taken:]:
                self._tokens.insert(0, _Unseen(rest, self._pending, is_rest=True))
            at += taken
            end = starts[at]
            if end > done:
                self._parts.append((self._length + done, self._length + end, self._pending))
                done, self._pending = end, _Values()
        self._length += len(text)

    def _spell(self, raw: bytes) -> None:
        """Have the tokens spell the next part of the text."""
        pieces = [token.piece for token in self._tokens]
        spelling = spell(pieces, final=False)
        if raw not in spelling.raw:
            spelling = spell(pieces)  # the text ends within a character
        spelled = zip(self._tokens, spelling.pieces(), strict=True)
        self._tokens = [token._replace(piece=piece) for token, piece in spelled]

    def _skip_to(self, raw: bytes) -> None:
        """Drop the white space that a transcript strips before the text."""
        while self._tokens and not raw.startswith(self._tokens[0].piece[:1]):
            token = self._tokens.pop(0)
            stripped = token.piece.lstrip()
            if stripped:
                self._tokens.insert(0, token._replace(piece=stripped))
                return


def _tints(parts: Iterable[tuple[int, int, _Values]], measure: Measure | None) -> tuple[Tint, ...]:
    if measure is None:
        return ()
    scale = SCALES[measure]
    values = ((start, end, getattr(each, measure)) for start, end, each in parts)
    return tuple((start, end, scale.step(v) or 0) for start, end, v in values if not math.isnan(v))
