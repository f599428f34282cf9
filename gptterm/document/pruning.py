"""Pruning of a document's tree: branches that a person does not want, and equal ones.

A pruned branch is passed over, and stays in the history for a week; until then it can be restored.
"""

import array
import hashlib
import time
from collections.abc import Callable, Iterator

from gptterm.conversation.branches import runs
from gptterm.document.tree import Document

_LATER_S = 0.001
"""Between two times of pruning at least: the last one is restored first."""


class Pruning:
    """Prunes the branches of a document, and restores them.

    Args:
        document: none of its versions may be streaming when it is pruned.
        clock: returns the current time.
    """

    def __init__(self, document: Document, clock: Callable[[], float] = time.time) -> None:
        self._document = document
        self._clock = clock
        self._moved: dict[str, str] = {}
        """Version → the pruned one that it was below, before a merge."""

    def prune(self, version: str) -> None:
        """Pass over a version and all below it; the one before comes into view in their place."""
        document = self._document
        if version in document.path():
            document.go(document.edit(version).parent)
        document.pruned[version] = self._now()

    def _now(self) -> float:
        """A time after all that was pruned and written: what is written later is kept."""
        document = self._document
        pruned = max(filter(None, document.pruned.values()), default=0.0)
        written = max((edit.created for edit in document.edits()), default=0.0)
        return max(self._clock(), pruned + _LATER_S, written)

    def restore(self) -> tuple[str, ...]:
        """Bring back what was pruned last; return the first versions of it. One comes into view."""
        document = self._document
        times = [then for then in document.pruned.values() if then is not None]
        if not times:
            return ()
        restored = tuple(each for each, then in document.pruned.items() if then == max(times))
        for version in restored:
            document.pruned[version] = None
        self._move_back(restored)
        if len(restored) == 1:
            at: str | None = restored[0]
            while at is not None:
                last, at = at, document.selected_child(at)
            document.go(last)
        return restored

    def _move_back(self, restored: tuple[str, ...]) -> None:
        """Put the versions that a merge has moved where they were before."""
        document, current = self._document, self._document.current
        moved = [each for each in self._moved.items() if self._is_below(each[1], restored)]
        if not moved:
            return
        document.go(None)
        for version, parent in moved:
            document.reparent(version, parent)
            del self._moved[version]
        document.go(current)

    def _is_below(self, version: str, above: tuple[str, ...]) -> bool:
        at: str | None = version
        while at is not None and at not in above:
            at = self._document.edit(at).parent
        return at is not None

    # -------------------------------------------------------------------------------- merging

    def merge(self) -> int:
        """Merge equal branches of each fork, the younger into the older one; return how many.

        Branches are equal as far as they insert the same text, by the same tokens, at the same
        place. What follows the one then follows the other. A branch that ends within a version of
        another stays: no version there has its text, which may be the one that a person wants.
        """
        document, now, merged = self._document, self._now(), 0
        forks: list[str | None] = [None]
        while forks:
            fork = forks.pop()
            merged += self._merge_at(fork, now)
            forks += [run[-1] for run, depth in _below(document, fork) if not depth]
        return merged

    def _merge_at(self, fork: str | None, now: float) -> int:
        """Merge the branches of one fork."""
        document, merged = self._document, 0
        branches = document.children(fork)
        known: States = {}
        for first in branches if len(branches) > 1 else ():
            states = dict(_insertions(document, first))
            equal = self._shared(states, known)
            if equal is None:
                known = states | known
            else:
                self._merge_into(known, states, equal, now)
                merged += 1
        return merged

    def _shared(self, states: "States", known: "States") -> "Content | None":
        """The longest content of a branch that another one has, if nothing is lost with it."""
        document, shared = self._document, None
        for content, version in states.items():
            if content in known:
                shared = content
            elif _is_marked(document, version) or version == document.current:
                break
        return shared

    def _merge_into(self, known: "States", states: "States", equal: "Content", now: float) -> None:
        """Prune a branch up to the version of a content, and move what follows it."""
        document = self._document
        version, current = states[equal], document.current
        for content, other in states.items():
            same = known.get(content)
            if same is not None:
                _move_marks(document, other, same)
                current = same if current == other else current
        first = next(iter(states.values()))
        document.go(document.edit(first).parent)
        for child in document.children(version):
            self._moved[child] = version
            document.reparent(child, known[equal])
        document.pruned[first] = now
        document.go(current)


Content = tuple[int, int, int, bytes, bytes]
"""Where a branch writes, how much it replaces, and length, text and tokens of what it inserts."""
States = dict[Content, str]
"""Contents of a branch → the version that each is reached with."""


def _below(document: Document, fork: str | None) -> Iterator[tuple[list[str], int]]:
    """The runs below a version."""
    return runs(lambda version: document.children(fork if version is None else version))


def _insertions(document: Document, first: str) -> Iterator[tuple[Content, str]]:
    """Yield the contents of a branch as far as it only inserts text, each at the last one's end."""
    edit = document.edit(first)
    start, removed, length, version = edit.start, edit.removed, 0, first
    # Digests: the texts of a long branch, one for each version, would take megabytes.
    text, tokens = hashlib.blake2b(digest_size=16), hashlib.blake2b(digest_size=16)
    while True:
        length += len(edit.text)
        text.update(edit.text.encode())
        tokens.update(array.array("Q", edit.ids).tobytes())
        yield (start, removed, length, text.digest(), tokens.digest()), version
        children = document.children(version)
        if len(children) != 1:
            return
        version = children[0]
        edit = document.edit(version)
        if edit.removed or edit.start != start + length:
            return


def _is_marked(document: Document, version: str) -> bool:
    return bool(document.names.get(version)) or document.bookmarks.get(version) is not None


def _move_marks(document: Document, version: str, to: str) -> None:
    """Give a version the name and the bookmark of an equal one."""
    if document.names.get(version) and not document.names.get(to):
        document.names[to] = document.names[version]
    if document.bookmarks.get(version) is not None and document.bookmarks.get(to) is None:
        document.bookmarks[to] = document.bookmarks[version]
