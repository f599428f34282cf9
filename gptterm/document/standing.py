"""Standing text: what edits have written and not taken back, in the order of the text."""

import math
import operator
from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from gptterm.document.edits import Edit, tokens_within
from gptterm.document.tree import Document
from gptterm.document.words import changed_count


class Piece(NamedTuple):
    """A part of what one edit has written."""

    start: int
    """Its place in the text."""
    edit: Edit
    begin: int
    end: int
    """Places of the edit's text."""

    @property
    def stop(self) -> int:
        """The place in the text where it ends."""
        return self.start + self.end - self.begin

    @property
    def text(self) -> str:
        """Its part of the edit's text."""
        return self.edit.text[self.begin : self.end]


class Standing:
    """Standing text of a run of edits; the text before them is not needed."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._parts: list[tuple[Edit, int, int]] = []

    def copy(self) -> "Standing":
        """Return the same, which can go another way."""
        other = Standing()
        other._starts, other._parts = self._starts.copy(), self._parts.copy()
        return other

    def apply(self, edit: Edit) -> None:
        """Take over one more edit."""
        starts, parts = self._starts, self._parts
        start, end = edit.start, edit.start + edit.removed
        first = bisect_left(starts, start)
        if first and starts[first - 1] + _length(parts[first - 1]) > start:
            first -= 1
        last = bisect_left(starts, end, first)
        new = [(start, (edit, 0, len(edit.text)))] if edit.text else []
        if first < last:
            (left, begin, _), (right, right_begin, right_end) = parts[first], parts[last - 1]
            if (before := start - starts[first]) > 0:
                new.insert(0, (starts[first], (left, begin, begin + before)))
            if (cut := right_begin + end - starts[last - 1]) < right_end:
                new.append((start + len(edit.text), (right, cut, right_end)))
        grown = len(edit.text) - edit.removed
        starts[first:] = [*(at for at, _ in new), *(at + grown for at in starts[last:])]
        parts[first:last] = [part for _, part in new]

    @property
    def pieces(self) -> list[Piece]:
        """The parts in the order of the text."""
        pairs = zip(self._starts, self._parts, strict=True)
        return [Piece(start, *part) for start, part in pairs]


def _length(part: tuple[Edit, int, int]) -> int:
    return part[2] - part[1]


def stretches(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """Group pieces that touch: a word typed in two parts, or changed within, is one word."""
    found = list[list[Piece]]()
    for piece in pieces:
        if found and found[-1][-1].stop == piece.start:
            found[-1].append(piece)
        else:
            found.append([piece])
    return found


class Written:
    """Standing text of a run of edits, its words, and the surprisal of its tokens.

    A long document is edited thousands of times: an edit more takes no replay of those before, and
    words are counted anew where they have changed.
    """

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.texts: list[str] = []
        """The stretches that stand."""
        self.words = 0
        self.bits: tuple[float, int] = (0.0, 0)
        """Sum of the surprisals of the models' tokens that stand, and their number."""
        self._edits: list[Edit] = []
        self._counted = ""
        self._applied: list[Edit] = []
        """The edits but the last, which may grow."""
        self._standing = Standing()

    def update(self, document: Document, versions: Sequence[str]) -> None:
        """Take over the edits that made some versions one after the other."""
        edits = [document.edit(version) for version in versions]
        if len(edits) == len(self._edits) and _begins_with(edits, self._edits):
            return
        if not _begins_with(edits, self._applied):
            self._applied, self._standing = [], Standing()
        for edit in edits[len(self._applied) : -1]:
            self._standing.apply(edit)
            self._applied.append(edit)
        standing = self._standing
        for edit in edits[len(self._applied) :]:
            standing = standing.copy()
            standing.apply(edit)
        self._edits, self.pieces = edits, standing.pieces
        self.texts = ["".join(each.text for each in group) for group in stretches(self.pieces)]
        text = "\n".join(self.texts)
        self.words = changed_count(self._counted, self.words, text)
        self._counted = text
        logprobs = [each for piece in self.pieces for each in _logprobs(document, piece)]
        self.bits = -math.fsum(logprobs) / math.log(2), len(logprobs)


def _begins_with(edits: list[Edit], known: list[Edit]) -> bool:
    return len(known) <= len(edits) and all(map(operator.is_, known, edits))


def _logprobs(document: Document, piece: Piece) -> Sequence[float]:
    """Those of the tokens that a piece has whole."""
    edit = piece.edit
    if not edit.logprobs or (piece.begin, piece.end) == (0, len(edit.text)):
        return edit.logprobs
    whole = tokens_within(document.ends_of(edit), piece.begin, piece.end)
    return edit.logprobs[whole.start : whole.stop]
