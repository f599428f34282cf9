"""Branches of a document: runs of versions between the forks of its tree, for a map of it."""

from collections.abc import Callable
from itertools import groupby
from typing import NamedTuple

from gptterm.conversation.branches import MOST_TEXT, runs
from gptterm.document.standing import Piece, Written, stretches
from gptterm.document.tree import Document
from gptterm.format import perplexity, plural

_BETWEEN = " … "
"""Between the stretches of a branch's text."""


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
    """Those of that text with known probabilities."""
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
        return length, f"ppl {perplexity(self.perplexity)}", f"{self.bits:.2f} bits"


Bits = tuple[float, int]
"""Sum of the surprisals of some tokens, in bits, and their number."""


class BranchMap:
    """Finds the branches of a document again and again, and keeps what has not changed.

    Args:
        bits: returns the surprisals in a stretch of the text in view, which a model may have read.
            Of what is not in view, those are known that it had when it was, and the log
            probabilities that models wrote with.
    """

    def __init__(self, bits: Callable[[int, int], Bits] = lambda _start, _end: (0.0, 0)) -> None:
        self._bits = bits
        self._written: dict[str, Written] = {}
        """By the first version of each branch."""
        self._path = Written()
        self._read: dict[tuple[str, str], Bits] = {}
        """Surprisals of branches as they were in view, by first and last version."""

    def branches(self, document: Document) -> list[Branch]:
        """Return the branches, each before those that fork from it, the oldest first."""
        selected = set[str]()
        at = document.selected_child(None)
        while at is not None:
            selected.add(at)
            at = document.selected_child(at)
        found = list(runs(document.children))
        self._read_path(document, [run for run, _ in found if run[0] in selected])
        return [
            self._branch(document, run, depth, is_selected=run[0] in selected)
            for run, depth in found
        ]

    def _read_path(self, document: Document, selected: list[list[str]]) -> None:
        """Note the surprisals of the branches that are in view to their ends."""
        path = list(document.path())
        # A text without forks is its only branch.
        written = self._of(path[0]) if path in selected else self._path
        written.update(document, path)
        in_view = set(path)
        shown = [run for run in selected if run[-1] in in_view]
        owners = {version: run for run in shown for version in run}
        totals = {(run[0], run[-1]): (0.0, 0) for run in shown}

        def owner(piece: Piece) -> tuple[str, str] | None:
            run = owners.get(piece.edit.id)
            return None if run is None else (run[0], run[-1])

        for stretch in stretches(written.pieces):
            for key, group in groupby(stretch, owner):
                if key is not None:
                    pieces = list(group)
                    bits, count = self._bits(pieces[0].start, pieces[-1].stop)
                    before = totals[key]
                    totals[key] = before[0] + bits, before[1] + count
        self._read |= {key: total for key, total in totals.items() if total[1]}

    def _of(self, first: str) -> Written:
        return self._written.setdefault(first, Written())

    def _branch(
        self, document: Document, run: list[str], depth: int, *, is_selected: bool
    ) -> Branch:
        written = self._of(run[0])
        written.update(document, run)
        names = (name for version in reversed(run) if (name := document.names.get(version, "")))
        bits, tokens = self._read.get((run[0], run[-1]), written.bits)
        return Branch(
            first=run[0],
            last=run[-1],
            depth=depth,
            name=next(names, ""),
            text=_BETWEEN.join(written.texts[:MOST_TEXT])[:MOST_TEXT],
            words=written.words,
            tokens=tokens,
            bits=bits / tokens if tokens else None,
            is_selected=is_selected,
            is_current=document.current in run,
        )


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
