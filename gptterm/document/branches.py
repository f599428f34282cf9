"""Branches of a document: runs of versions between the forks of its tree, for a map of it."""

import math
from bisect import bisect_left
from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from gptterm.conversation.branches import MOST_TEXT, runs
from gptterm.document.edits import Edit
from gptterm.document.tree import Document
from gptterm.format import plural, three_digits


class Branch(NamedTuple):
    """Versions that follow each other without a fork."""

    first: str
    """The version that begins it."""
    last: str
    """The version that it ends with."""
    depth: int
    """Forks above it."""
    name: str
    """Of its last version with a name; empty for none."""
    text: str
    """The beginning of what its edits wrote and left."""
    words: int
    """Those of that text."""
    tokens: int
    """Those of models, with known probabilities."""
    bits: float | None
    """Their mean surprisal; None without any."""
    is_selected: bool
    """It is on the path to the version in view, or behind it."""
    is_current: bool
    """The version in view is one of its own."""

    @property
    def perplexity(self) -> float | None:
        """2 to the mean surprisal; None where that is not known."""
        return None if self.bits is None else 2.0 ** min(1000.0, self.bits)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Its length, and how well the model likes it."""
        length = plural(self.words, "word")
        if self.bits is None or self.perplexity is None:
            return (length,)
        return length, f"ppl {three_digits(self.perplexity)} · {self.bits:.2f} bits"


def branches(document: Document) -> list[Branch]:
    """Return the branches, each before those that fork from it, the oldest first."""
    selected = set[str]()
    at = document.selected_child(None)
    while at is not None:
        selected.add(at)
        at = document.selected_child(at)
    return [
        _branch(document, run, depth, is_selected=run[0] in selected)
        for run, depth in runs(document.children)
    ]


def count_branches(document: Document, version: str) -> int:
    """Count the branch that begins with a version and those that fork from it."""
    below = runs(lambda at: (version,) if at is None else document.children(at))
    return sum(1 for _ in below)


def rename(document: Document, branch: Branch, name: str) -> None:
    """Name a branch at its end; its earlier names, and with an empty name all of them, go."""
    at: str | None = branch.last
    while at is not None:
        if document.names.get(at):
            document.names[at] = ""
        at = None if at == branch.first else document.edit(at).parent
    if name:
        document.names[branch.last] = name


def _branch(document: Document, run: list[str], depth: int, *, is_selected: bool) -> Branch:
    edits = [document.edit(version) for version in run]
    texts = standing(edits)
    logprobs = [each for edit in edits for each in edit.logprobs]
    names = (name for version in reversed(run) if (name := document.names.get(version, "")))
    return Branch(
        first=run[0],
        last=run[-1],
        depth=depth,
        name=next(names, ""),
        text=_SEPARATOR.join(texts[:MOST_TEXT])[:MOST_TEXT],
        words=sum(len(text.split()) for text in texts),
        tokens=len(logprobs),
        bits=-math.fsum(logprobs) / len(logprobs) / math.log(2) if logprobs else None,
        is_selected=is_selected,
        is_current=document.current in run,
    )


_SEPARATOR = " … "


def standing(edits: Iterable[Edit]) -> list[str]:
    """Return what is left of the texts that edits wrote one after the other, in the text's order.

    Stretches that touch are one: a word typed in two parts, or changed within, is one word.
    """
    starts, texts = list[int](), list[str]()
    for edit in edits:
        start, end = edit.start, edit.start + edit.removed
        first = bisect_left(starts, start)
        if first and starts[first - 1] + len(texts[first - 1]) > start:
            first -= 1
        last = bisect_left(starts, end, first)
        parts = [(start, edit.text)] if edit.text else []
        if first < last:
            left, right = starts[first], starts[last - 1]
            if left < start:
                parts.insert(0, (left, texts[first][: start - left]))
            if right + len(texts[last - 1]) > end:
                parts.append((start + len(edit.text), texts[last - 1][end - right :]))
        grown = len(edit.text) - edit.removed
        starts[first:] = [*(at for at, _ in parts), *(at + grown for at in starts[last:])]
        texts[first:last] = [text for _, text in parts]
    # What touches has the same place once the texts before it are taken out.
    places, before = list[int](), 0
    for at, text in zip(starts, texts, strict=True):
        places.append(at - before)
        before += len(text)
    pairs = zip(places, texts, strict=True)
    return ["".join(text for _, text in group) for _, group in groupby(pairs, lambda each: each[0])]
