"""Document: a tree of versions, of which one is in view.

Every edit makes a version below the one that it changes, and no version with a text is ever
removed: those that a person prunes are passed over. Undo goes to the parent, redo to the child
that was in view last. Continuations of one text are siblings.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from gptterm.conversation.nodes import Generation
from gptterm.document.edits import Edit, Span, closed, parents_first, split
from gptterm.document.settings import DocumentSettings
from gptterm.document.streams import Stream
from gptterm.engine.api import (
    Alternative,
    Event,
    FinishReason,
    ModelInfo,
    SamplingParams,
    TextPrompt,
    TokenPrompt,
)

MOST_TYPED = 400
"""Characters of typing in one version."""
_CHARS_A_TOKEN = 16
"""More than a token of natural text has: what the context cannot hold is not encoded."""


class _Applied(NamedTuple):
    """A version on the path to the one in view, and how to leave it."""

    edit: str
    removed: str
    spans: tuple[Span, ...]
    """Those of the version before."""


class Document:
    """The versions of one text. Places are characters from its beginning.

    Args:
        id: of a saved document; None for a new one.
        edits: parents before their children.
        current: the version in view; None for the empty text.
        selected: version → the child that was in view last.
        clock: returns the current time.

    Raises:
        ValueError: the edits are not a tree, or do not fit the text.
    """

    def __init__(
        self,
        *,
        id: str | None = None,  # noqa: A002 - the usual name
        edits: Iterable[Edit] = (),
        current: str | None = None,
        selected: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.id = id or uuid.uuid4().hex
        self._clock = clock
        self._edits: dict[str, Edit] = {}
        self._children: dict[str | None, list[str]] = {None: []}
        self._selected: dict[str | None, str] = {}
        self._streams: dict[str, Stream] = {}
        self._ends: dict[str, list[int]] = {}
        self.names: dict[str, str] = {}
        """Version → the name that a person gave it; empty for one that was taken back."""
        self.bookmarks: dict[str, int | None] = {}
        """Version → a place in its text; None for a bookmark that was taken back."""
        self.pruned: dict[str, float | None] = {}
        """First version of a branch → since when it is passed over; None: no more."""
        self.settings = DocumentSettings()
        self._path: list[_Applied] = []
        self._text = ""
        self._spans: tuple[Span, ...] = ()
        self._is_open = False
        """The version in view may grow by typing."""
        self.cut_tokens = 0
        """Tokens that the last edit has cut in two."""
        for edit in edits:
            if edit.id in self._edits or not (edit.parent is None or edit.parent in self._edits):
                raise ValueError(f"edit {edit.id!r} does not fit the tree")
            self._insert(edit)
        for parent, child in (selected or {}).items():
            if child not in self._children.get(parent, ()):
                raise ValueError(f"{child!r} does not follow {parent!r}")
            self._selected[parent] = child
        self.go(current)

    def _insert(self, edit: Edit) -> None:
        self._edits[edit.id] = edit
        self._children[edit.id] = []
        self._children[edit.parent].append(edit.id)
        self._selected.setdefault(edit.parent, edit.id)

    # ------------------------------------------------------------------------------ reading

    @property
    def text(self) -> str:
        """The text of the version in view."""
        return self._text

    @property
    def current(self) -> str | None:
        """The version in view; None for the empty one that all begin with."""
        return self._path[-1].edit if self._path else None

    @property
    def spans(self) -> tuple[Span, ...]:
        """The stretches of the text with known tokens, in order."""
        return self._spans

    def path(self) -> tuple[str, ...]:
        """Return the versions that led to the one in view, which is the last."""
        return tuple(applied.edit for applied in self._path)

    def __len__(self) -> int:
        return len(self._edits)

    def edit(self, version: str) -> Edit:
        """Return the edit that made a version; what is being written is partial."""
        return self._edits[version]

    def edits(self) -> tuple[Edit, ...]:
        """Return all edits, parents before their children."""
        return tuple(self._edits.values())

    def children(self, version: str | None) -> tuple[str, ...]:
        """Return the versions made from this one, oldest first, without the pruned ones."""
        children = self._children[version]
        return tuple(child for child in children if self.pruned.get(child) is None)

    def selected_child(self, version: str | None) -> str | None:
        """Return the child of a version that was in view last, or its last one."""
        selected, children = self._selected.get(version), self.children(version)
        return selected if selected in children else children[-1] if children else None

    def is_streaming(self, version: str | None = None) -> bool:
        """Whether a model is writing the version; None: any."""
        return bool(self._streams) if version is None else version in self._streams

    def written(self, version: str) -> Edit:
        """Return the edit that made a version; one that is being written, with its tokens so far.

        Its ids are not known before it ends.
        """
        edit, stream = self._edits[version], self._streams.get(version)
        return edit if stream is None else stream.scored(edit)

    def prompt_parts(
        self, end: int, info: ModelInfo | None, start: int = 0
    ) -> tuple[TextPrompt | TokenPrompt, ...]:
        """Return the text between two places for this model: its tokens as ids, the rest as text.

        Of a text that is much longer than the context, the end.
        """
        limit = start
        if info is not None and info.context_length:
            limit = max(start, end - _CHARS_A_TOKEN * info.context_length)
        parts: list[TextPrompt | TokenPrompt] = []
        at = limit

        def add_text(to: int) -> None:
            if to > at:
                parts.append(TextPrompt(text=self._text[at:to]))

        for span in self._spans:
            edit = self._edits[span.edit]
            if span.start < at or info is None or not edit.written_by(info):
                continue
            if span.start >= end:
                break
            ends = self.ends_of(edit)
            part = span if span.end <= end else split(span, end, ends).before
            if part is not None:
                part = closed(part, self._text[part.start : part.end], ends)
            if part is not None:
                add_text(part.start)
                ids = edit.ids[part.first : part.first + part.tokens]
                parts.append(TokenPrompt(ids=ids))
                at = part.end
        add_text(end)
        return tuple(parts)

    def run_end(self, place: int) -> int:
        """Return the place where that ends which a model wrote in one go; itself, if it did not."""
        span = next((each for each in self._spans if each.start <= place < each.end), None)
        if span is None:
            return place
        edit, end = self._edits[span.edit], span.end
        if span.first + span.tokens == len(edit.ids):
            cut = edit.text[self.ends_of(edit)[-1] :]  # of a token that the end was within
            end += len(cut) if self._text.startswith(cut, end) else 0
        return end

    # -------------------------------------------------------------------------------- moving

    def go(self, version: str | None) -> None:
        """Bring a version into view.

        Raises:
            KeyError: there is none.
            ValueError: its edits do not fit the text.
        """
        wanted: list[str] = []
        at = version
        while at is not None:
            wanted.append(at)
            at = self._edits[at].parent
        wanted.reverse()
        common = 0
        for applied, edit in zip(self._path, wanted, strict=False):
            if applied.edit != edit:
                break
            common += 1
        while len(self._path) > common:
            self._leave()
        for edit in wanted[common:]:
            self._enter(self._edits[edit])
            self._selected[self._edits[edit].parent] = edit
        self._is_open = False

    def undo(self) -> bool:
        """Go to the version before; False at the beginning."""
        if not self._path:
            return False
        self.go(self._edits[self._path[-1].edit].parent)
        return True

    def redo(self) -> bool:
        """Go to the child that was in view last; False where there is none."""
        child = self.selected_child(self.current)
        if child is None:
            return False
        self.go(child)
        return True

    def reparent(self, version: str, parent: str) -> None:
        """Put a version, which is not in view, below another one with the text of its parent."""
        edit = self._edits[version]
        self._children[edit.parent].remove(version)
        self._children[parent].append(version)
        self._edits[version] = msgspec.structs.replace(edit, parent=parent)
        self._edits = {each.id: each for each in parents_first(self._edits.values())}

    def _enter(self, edit: Edit) -> None:
        """Apply an edit of the version in view to the text."""
        end = edit.start + edit.removed
        if not 0 <= edit.start <= end <= len(self._text):
            raise ValueError(f"edit {edit.id!r} does not fit the text")
        self._path.append(_Applied(edit.id, self._text[edit.start : end], self._spans))
        self._spans = self._divided(self._spans, edit)
        self._put(edit.start, end, edit.text)

    def _leave(self) -> None:
        """Go back to the version before."""
        applied = self._path.pop()
        edit = self._edits[applied.edit]
        self._put(edit.start, edit.start + len(edit.text), applied.removed)
        self._spans = applied.spans

    def _put(self, start: int, end: int, text: str) -> None:
        """Replace a stretch of the text; joined in one go, since it may be of a megabyte."""
        self._text = "".join((self._text[:start], text, self._text[end:]))

    def _grow(self, edit: Edit, grown: Edit) -> None:
        """Have the version in view say what it says by now."""
        if grown.text != edit.text:
            self._put(edit.start, edit.start + len(edit.text), grown.text)
        self._spans = self._divided(self._path[-1].spans, grown)

    def _divided(self, spans: tuple[Span, ...], edit: Edit) -> tuple[Span, ...]:
        """Divide spans around an edit, and put its own between them."""
        start, end = edit.start, edit.start + edit.removed
        before, after = list[Span](), list[Span]()
        by, self.cut_tokens = len(edit.text) - edit.removed, 0
        for span in spans:
            if span.end <= start:
                before.append(span)
            elif span.start >= end:
                after.append(span.moved(by))
            else:
                self._divide(span, start, end, by, before, after)
        own = [self._whole(edit)] if edit.ids and edit.text else []
        return (*before, *own, *after)

    def _divide(
        self, span: Span, start: int, end: int, by: int, before: list[Span], after: list[Span]
    ) -> None:
        ends = self.ends_of(self._edits[span.edit])
        cut = 0
        if span.start < start:
            left = split(span, start, ends)
            cut += left.cut
            if left.before is not None:
                before.append(left.before)
        if span.end > end:
            right = split(span, end, ends)
            cut += right.cut if start < end or not cut else 0
            if right.after is not None:
                after.append(right.after.moved(by))
        self.cut_tokens += cut

    def _whole(self, edit: Edit) -> Span:
        """All tokens of an edit."""
        return Span(edit.start, edit.start + self.ends_of(edit)[-1], edit.id, 0, len(edit.ids))

    def ends_of(self, edit: Edit) -> list[int]:
        """Return `Edit.token_ends`, counted once."""
        if edit.id not in self._ends:
            self._ends[edit.id] = edit.token_ends()
        return self._ends[edit.id]

    # ------------------------------------------------------------------------------ editing

    def replace(self, start: int, end: int, text: str, *, typing: bool = False) -> str:
        """Replace a stretch of the text; return the version with that change.

        Args:
            typing: the change may join the one before, as a word's letters do.

        Raises:
            ValueError: the text has no such stretch.
        """
        if not 0 <= start <= end <= len(self._text):
            raise ValueError(f"no stretch from {start} to {end} in {len(self._text)} characters")
        text = text.encode("utf-8", "replace").decode()  # half a character
        if typing and self._is_open and self._grow_typed(start, end, text):
            return self._path[-1].edit
        edit = Edit(
            id=uuid.uuid4().hex,
            parent=self.current,
            start=start,
            removed=end - start,
            text=text,
            created=self._clock(),
        )
        self._add(edit)
        self._is_open = typing
        return edit.id

    def swap(self, start: int, end: int, text: str, token: Alternative, run: Generation) -> str:
        """Replace a stretch of the text by one token of a model; return the version with that.

        Args:
            text: what the token spells.
            run: the model's.
        """
        edit = Edit(
            id=uuid.uuid4().hex,
            parent=self.current,
            start=start,
            removed=end - start,
            text=text,
            created=self._clock(),
            ids=(token.id,),
            lengths=(len(text.encode()),),
            logprobs=(token.logprob,),
            run=msgspec.structs.replace(run, tokens=1, reason="length"),
        )
        self._add(edit)
        self._is_open = False
        return edit.id

    def _add(self, edit: Edit) -> None:
        self._insert(edit)
        self._selected[edit.parent] = edit.id
        self._enter(edit)

    def _grow_typed(self, start: int, end: int, text: str) -> bool:
        """Let the version in view take a change in; False if it is another place or kind."""
        applied = self._path[-1]
        edit = self._edits[applied.edit]
        if self._children[edit.id] or edit.text.endswith("\n"):
            return False
        if start == end == edit.start + len(edit.text) and len(edit.text) < MOST_TYPED:
            grown = msgspec.structs.replace(edit, text=edit.text + text)
        elif not text and not edit.text and end == edit.start:
            grown = msgspec.structs.replace(edit, start=start, removed=edit.removed + end - start)
        else:
            return False
        self._leave()
        self._edits[edit.id] = grown
        self._enter(grown)
        return True

    # ------------------------------------------------------------------------------ writing

    def begin(self, at: int, run: Generation, samples: int = 1) -> tuple[str, ...]:
        """Begin continuations at a place, as siblings; the first is in view.

        Args:
            run: what writes them; its seed is that of the first.
        """
        parent, versions = self.current, []
        for number in range(samples):
            edit = Edit(
                id=uuid.uuid4().hex, parent=parent, start=at, created=self._clock(), run=run
            )
            seed = None if run.seed is None else run.seed + number
            self._streams[edit.id] = Stream(edit, msgspec.structs.replace(run, seed=seed))
            self._insert(edit)
            versions.append(edit.id)
        self.go(versions[0])
        return tuple(versions)

    def apply_event(self, version: str, event: Event) -> None:
        """Apply an event of the generation that writes a version, as its sample 0.

        Events after its end are ignored.
        """
        if version not in self._streams:
            self._edits[version]  # raises KeyError for an unknown one
            return
        self._store(version, ended=self._streams[version].apply(event))

    def change_sampling(self, sampling: SamplingParams) -> None:
        """Note other samplers for the rest of all versions that are being written."""
        for stream in self._streams.values():
            stream.change_sampling(sampling)

    def finish(self, version: str, reason: FinishReason, *, error: str = "") -> None:
        """End a version whose generation did not; no effect on one that has ended."""
        if version in self._streams:
            self._streams[version].finish(reason, error)
            self._store(version, ended=True)

    def discard(self, version: str) -> bool:
        """Remove a version without text, which a generation has left, and return True.

        Others stay, as does one that a person writes on from, or has marked.
        """
        edit = self._edits[version]
        is_used = self._children[version] or version in self._streams
        is_marked = any(version in each for each in (self.names, self.bookmarks, self.pruned))
        if edit.text or is_used or is_marked:
            return False
        if self.current == version:
            self.go(edit.parent)
        del self._edits[version], self._children[version]
        self._children[edit.parent].remove(version)
        if self._selected.get(edit.parent) == version:
            del self._selected[edit.parent]
        return True

    def _store(self, version: str, *, ended: bool) -> None:
        """Take over what was written."""
        edit = self._edits[version]
        grown = self._streams[version].written(edit, ended=ended)
        if ended:
            del self._streams[version]
        if self._children[version]:
            # Somebody writes on from it already: it stays as it was then.
            grown = msgspec.structs.replace(grown, text=edit.text, ids=(), lengths=(), logprobs=())
        self._edits[version] = grown
        if self.current == version:
            self._grow(edit, grown)
