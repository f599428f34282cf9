"""Import of a document's JSON, which `gptterm.document.export` writes: all that it tells."""

import math
import reprlib
from typing import Annotated, Any

import msgspec

from gptterm.conversation.nodes import EARLIEST, LATEST, Generation, TokenId
from gptterm.document import settings
from gptterm.document.edits import Edit, are_lengths, parents_first
from gptterm.document.json_format import FORMAT, VERSION
from gptterm.document.tree import Document

_Count = Annotated[int, msgspec.Meta(ge=0)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class _Token(msgspec.Struct):
    id: TokenId
    piece: str
    bytes: list[Annotated[int, msgspec.Meta(ge=0, le=255)]] | None = None
    """Where the piece is a part of a character."""
    logprob: float | None = None

    @property
    def length(self) -> int:
        return len(self.piece.encode()) if self.bytes is None else len(self.bytes)


class _Version(msgspec.Struct):
    id: _Name
    parent: str | None
    start: _Count
    removed: _Count
    text: str
    created: float
    name: str = ""
    bookmark: _Count | None = None
    tokens: list[_Token] = []
    run: Generation | None = None

    def edit(self) -> Edit:
        """The edit, with tokens if they spell its text."""
        lengths = tuple(token.length for token in self.tokens)
        logprobs = [token.logprob for token in self.tokens]
        fits = are_lengths(lengths, self.text)
        known = [each for each in logprobs if each is not None and math.isfinite(each)]
        return Edit(
            id=self.id, parent=self.parent, start=self.start, removed=self.removed,
            text=self.text, created=min(max(self.created, EARLIEST), LATEST),
            ids=tuple(token.id for token in self.tokens) if fits else (),
            lengths=lengths if fits else (),
            logprobs=tuple(known) if fits and len(known) == len(logprobs) else (),
            run=self.run,
        )  # fmt: skip


class _File(msgspec.Struct):
    id: _Name
    current: str | None
    edits: list[_Version]
    selected: dict[str, str] = {}
    settings: dict[str, Any] = {}


def from_builtins(raw: dict[str, Any]) -> Document:
    """Return the document of a decoded export.

    Raises:
        ValueError: it is none, or damaged; the message is one line.
    """
    if raw.get("format") != FORMAT or raw.get("version") != VERSION:
        found = reprlib.repr(raw.get("version"))
        raise ValueError(f"written in version {found} of the format, not {VERSION}")
    # Not strict: that is how "-inf" becomes a number again.
    file = msgspec.convert(raw, _File, strict=False)
    edits = parents_first(version.edit() for version in file.edits)
    if len(edits) != len(file.edits):
        raise ValueError("a version lacks the one that it changes")
    lengths: dict[str | None, int] = {None: 0}
    for edit in edits:
        before = lengths[edit.parent]
        if edit.start + edit.removed > before:
            raise ValueError(f"version {reprlib.repr(edit.id)} does not fit the text")
        lengths[edit.id] = before - edit.removed + len(edit.text)
    parents = {edit.id: edit.parent for edit in edits}
    document = Document(
        id=file.id,
        edits=edits,
        current=file.current if file.current in parents else None,
        selected={a: b for a, b in file.selected.items() if parents.get(b) == a},
    )
    for each in file.edits:
        if each.name:
            document.names[each.id] = each.name
        if each.bookmark is not None:
            document.bookmarks[each.id] = min(each.bookmark, lengths[each.id])
    document.settings = settings.decode(msgspec.json.encode(file.settings).decode())
    return document
