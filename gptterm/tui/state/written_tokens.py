"""Tokens of a document by what they were written with: models' own log probabilities."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence

from gptterm.document.edits import Edit, Span, tokens_within
from gptterm.document.tree import Document
from gptterm.engine.api import ModelInfo
from gptterm.tui.state.tints import Tint, tints


class WrittenTokens:
    """Tints and surprisals of the tokens that models wrote, with their log probabilities.

    Args:
        document: returns the document.
    """

    def __init__(self, document: Callable[[], Document]) -> None:
        self._document = document
        self._kept: dict[str, tuple[Edit, tuple[Tint, ...]]] = {}
        """Tints of edits; places are those of their texts."""

    def tints(self, start: int, end: int, by: ModelInfo | None = None) -> Iterator[Tint]:
        """Yield the tints of a stretch of the text, by surprisal.

        Args:
            by: the model; None for any.
        """
        document = self._document()
        current = document.current
        if current is not None and document.is_streaming(current):
            edit = document.written(current)
            whole = Span(edit.start, edit.start + len(edit.text), edit.id, 0, len(edit.lengths))
            yield from between(_edit_tints(edit), edit.start, start, min(whole.end, end))
        for span, edit in self._spans(start, end):
            if by is not None and not edit.written_by(by):
                continue
            known = self._kept.get(edit.id)
            if known is None or known[0] is not edit:
                known = self._kept[edit.id] = edit, _edit_tints(edit)
            ends = document.ends_of(edit)
            origin = span.start - (ends[span.first - 1] if span.first else 0)
            yield from between(known[1], origin, max(start, span.start), min(end, span.end))

    def stretches(self, start: int, end: int, by: ModelInfo) -> Iterator[tuple[int, int]]:
        """Yield what a model wrote of a stretch of the text, from start to end."""
        for span, edit in self._spans(start, end):
            if edit.logprobs and edit.written_by(by):
                yield max(start, span.start), min(end, span.end)

    def bits(self, start: int, end: int) -> tuple[float, int]:
        """Return the sum of the surprisals in a stretch of the text, and the number of tokens."""
        document, total, count = self._document(), 0.0, 0
        for span, edit in self._spans(start, end):
            if not edit.logprobs:
                continue
            tokens = range(span.first, span.first + span.tokens)
            if not (start <= span.start and span.end <= end):
                ends = document.ends_of(edit)
                origin = span.start - (ends[span.first - 1] if span.first else 0)
                inside = tokens_within(ends, start - origin, end - origin)
                tokens = range(max(tokens.start, inside.start), min(tokens.stop, inside.stop))
            total -= math.fsum(edit.logprobs[tokens.start : tokens.stop]) / math.log(2)
            count += len(tokens)
        return total, count

    def _spans(self, start: int, end: int) -> Iterator[tuple[Span, Edit]]:
        """Those of a stretch of the text, with the edits that they are of."""
        document = self._document()
        spans = document.spans
        for span in spans[bisect_right(spans, start, key=lambda span: span.end) :]:
            if span.start >= end:
                return
            yield span, document.edit(span.edit)


def between(parts: Sequence[Tint], by: int, start: int, end: int) -> Iterator[Tint]:
    """The tints that lie between two places, moved."""
    at = bisect_left(parts, start - by, key=lambda part: part[0])
    for low, high, step in parts[at:]:
        if high + by > end:
            return
        yield low + by, high + by, step


def _edit_tints(edit: Edit) -> tuple[Tint, ...]:
    """Tints of an edit by surprisal."""
    if not edit.logprobs:
        return ()
    ends, at = edit.token_ends(), 0
    values: list[tuple[int, int, float | None]] = []
    for end, logprob in zip(ends, edit.logprobs, strict=True):
        bits = max(0.0, -logprob / math.log(2))
        values.append((at, max(at, end), bits))
        at = max(at, end)
    return tints(values, "surprisal")
