"""Tints of a turn's tokens, by surprisal, rank or entropy."""

import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Protocol

from gptterm.charts.cells import text_in_line
from gptterm.charts.measures import SCALES, Measure
from gptterm.conversation.spelling import REPLACEMENT
from gptterm.conversation.token_scores import unpack

ALTERNATIVES = 5
"""Of each token, asked for while tints are shown."""
MEASURES: tuple[Measure, ...] = ("surprisal", "rank", "entropy")

Tint = tuple[int, int, int]
"""Start and end of a part of the text, and its step on the scale, 0 to 7."""

RawPart = tuple[int, int, str]
"""Start and end of a part of the text, and the bytes of its tokens, written to be shown."""


class TokenMarks(Protocol):
    """Marks on the tokens of turns: tints, and the walked token."""

    measure: Measure | None
    """Measure that tints the text; None: nothing does."""

    def tints(self, key: str, scores: bytes) -> tuple[Tint, ...]:
        """Return the tints of a turn, of which `scores` are kept."""

    def cursor(self, key: str) -> tuple[int, int] | None:
        """Return the part of a turn's text that the walked token spells."""

    def raw(self, key: str, scores: bytes) -> tuple[RawPart, ...]:
        """Return the parts of a turn's text that are shown by their bytes."""


def tints(values: Iterable[tuple[int, int, float | None]], measure: Measure) -> tuple[Tint, ...]:
    """Return the tints of tokens in order: start, end, and the value of a measure.

    Tokens that spell one character together are one part, with the sum of their surprisal, or the
    largest of their ranks or entropies.
    """
    scale, found = SCALES[measure], list[Tint]()
    pending, done = list[float](), 0
    for start, end, value in values:
        if value is not None:
            pending.append(value)
        if end <= start or start < done:
            continue
        if pending:
            total = sum(pending) if measure == "surprisal" else max(pending)
            found.append((start, end, scale.step(total) or 0))
        pending, done = [], end
    return tuple(found)


def raw_parts(text: str, tokens: Iterable[tuple[bytes, int, int]]) -> tuple[RawPart, ...]:
    """Return the parts of a text where U+FFFD stands for tokens that are no whole characters.

    Args:
        tokens: piece, start and end of each token in order.
    """
    found, pending, done = list[RawPart](), "", 0
    for piece, start, end in tokens:
        pending += text_in_line(piece)
        if end <= start or start < done:
            continue
        if REPLACEMENT in text[start:end] and "\n" not in text[start:end]:
            found.append((start, end, pending))
        pending, done = "", end
    return tuple(found)


@lru_cache(64)
def kept_tints(scores: bytes) -> tuple[Tint, ...]:
    """Return the tints by surprisal that are kept with a reply; none without scores."""
    tokens = unpack(scores)
    bits = ((t.start, t.end, max(0.0, -t.logprob / math.log(2))) for t in tokens)
    return tints(bits, "surprisal")


def next_measure(measure: Measure | None) -> Measure | None:
    """Return the measure after another: from none through all of them to none."""
    at = 0 if measure is None else MEASURES.index(measure) + 1
    return MEASURES[at] if at < len(MEASURES) else None
