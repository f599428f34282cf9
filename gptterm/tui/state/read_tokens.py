"""Tokens of a text as one model has read them: their number, and their surprisal."""

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gptterm.document.stretches import changed_stretch
from gptterm.document.tree import Document
from gptterm.engine.api import ModelInfo

_UNKNOWN = math.nan


class Scored(NamedTuple):
    """Tokens with known surprisals."""

    start: int
    end: int
    bits: float
    """Their sum."""
    tokens: int


class _Stretch(NamedTuple):
    """A stretch of the text that was read."""

    start: int
    end: int
    ends: Sequence[int]
    """Where each token ends, in order; places from `start` on."""
    bits: Sequence[float]
    """Surprisal of each token; NaN where it is not known."""
    scored: tuple[Scored, ...]
    """All with known surprisals, as one; places from `start` on."""

    def tokens(self, low: int, high: int) -> int:
        """Tokens that end behind one place of the text, and not behind another."""
        ends = self.ends
        return bisect_right(ends, high - self.start) - bisect_right(ends, low - self.start)

    def part(self, low: int, high: int, by: int = 0) -> "Iterator[_Stretch]":
        """Yield what lies between two places, moved; nothing if that is empty."""
        low, high = max(low, self.start), min(high, self.end)
        if (low, high) == (self.start, self.end):
            yield self._replace(start=low + by, end=high + by)
        elif low < high:
            first = bisect_right(self.ends, low - self.start)
            last = bisect_right(self.ends, high - self.start)
            bits = array("d", self.bits[first:last])
            before = self.ends[first - 1] if first else 0
            if bits and before < low - self.start:
                bits[0] = _UNKNOWN  # only the end of that token is left
            ends = (end + self.start - low for end in self.ends[first:last])
            yield _stretch(low + by, high + by, ends, bits)

    def within(self, low: int, high: int) -> Sequence[Scored]:
        """Return what is scored between two places, as one; nothing if there is none."""
        if low <= self.start and self.end <= high:
            return self.scored
        first = bisect_right(self.ends, low - self.start)
        if first < len(self.ends) and (self.ends[first - 1] if first else 0) < low - self.start:
            first += 1
        last = bisect_right(self.ends, high - self.start)
        return _scored(self.ends, self.bits, first, last)


def _stretch(start: int, end: int, ends: "Iterator[int]", bits: Sequence[float]) -> _Stretch:
    places = array("q", ends)
    return _Stretch(start, end, places, bits, _scored(places, bits, 0, len(places)))


def _scored(
    ends: Sequence[int], bits: Sequence[float], first: int, last: int
) -> tuple[Scored, ...]:
    known = [token for token in range(first, last) if not math.isnan(bits[token])]
    if not known:
        return ()
    start = ends[known[0] - 1] if known[0] else 0
    total = math.fsum(bits[token] for token in known)
    return (Scored(start, ends[known[-1]], total, len(known)),)


class ReadTokens:
    """Keeps the tokens of all stretches that one model has read, wherever an edit moves them."""

    def __init__(self) -> None:
        self._text = ""
        self._info: ModelInfo | None = None
        self._stretches: list[_Stretch] = []
        """In order; none overlaps another."""

    def add(
        self,
        info: ModelInfo,
        text: str,
        stretch: tuple[int, int],
        ends: Sequence[int],
        bits: Sequence[float | None] = (),
    ) -> None:
        """Take over a stretch of a text that was read.

        Args:
            ends: places of the text where its tokens end.
            bits: surprisals of the first of them; None: not known.
        """
        if info is not self._info:
            self._info, self._stretches = info, []
        self._follow(text)
        start, end = stretch
        others = (
            part
            for each in self._stretches
            for part in (*each.part(0, start), *each.part(end, len(text)))
        )
        known = array("d", [_UNKNOWN]) * len(ends)
        for token, value in enumerate(bits):
            if value is not None:
                known[token] = value
        own = _stretch(start, end, (place - start for place in ends), known)
        self._stretches = sorted([*others, own], key=lambda each: each.start)

    def _follow(self, text: str) -> None:
        """Leave out what an edit has changed, and move what is behind it."""
        if text is self._text:
            return
        change = changed_stretch(self._text, text)
        by, length = len(text) - len(self._text), len(self._text)
        self._stretches = [
            part
            for each in self._stretches
            for part in (*each.part(0, change.start), *each.part(change.end, length, by))
        ]
        self._text = text

    def scored(self, info: ModelInfo | None, text: str, start: int, end: int) -> Iterator[Scored]:
        """Yield what is scored of a stretch of a text by a model, in order."""
        if info is not self._info:
            return
        self._follow(text)
        first = bisect_right(self._stretches, start, key=lambda each: each.end)
        last = bisect_left(self._stretches, end, key=lambda each: each.start)
        for each in self._stretches[first:last]:
            for found in each.within(start, end):
                yield found._replace(start=each.start + found.start, end=each.start + found.end)

    def estimate(self, document: Document, start: int, end: int) -> int:
        """Return about how many tokens a stretch of the document has.

        What was read, and what this model wrote, has its count. The rest has as many a character
        as what was read of what no model wrote: a model's own text is of another kind often.
        """
        self._follow(document.text)
        tokens, known = self._within(start, end)
        all_read = sample, sampled = self._within(0, len(document.text))
        for span in document.spans:
            read, characters = self._within(span.start, span.end)
            sample, sampled = sample - read, sampled - characters
            is_own = self._info is not None and document.edit(span.edit).written_by(self._info)
            if is_own and start <= span.start and span.end <= end:
                tokens += span.tokens - read
                known += span.end - span.start - characters
        sample, sampled = (sample, sampled) if sampled else all_read
        return tokens + (round((end - start - known) * sample / sampled) if sampled else 0)

    def _within(self, start: int, end: int) -> tuple[int, int]:
        """Tokens and characters that were read of a stretch of the text."""
        tokens = characters = 0
        first = bisect_right(self._stretches, start, key=lambda each: each.end)
        for each in self._stretches[first:]:
            low, high = max(start, each.start), min(end, each.end)
            if low >= high:
                break
            tokens += each.tokens(low, high)
            characters += high - low
        return tokens, characters
