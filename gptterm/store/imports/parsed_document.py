"""Documents of Write mode as parsed from exports: their versions, built one by one."""

import uuid
from typing import NamedTuple

from gptterm.conversation.tree import clean_text
from gptterm.document.edits import Edit
from gptterm.document.settings import DocumentSettings
from gptterm.document.tree import Document
from gptterm.store.imports.parsed_chat import UnreadableChatError, imported_run


class ImportedDocument(NamedTuple):
    """A document and its origin."""

    document: Document
    title: str
    origin: str
    """The program it comes from."""


class Builder:
    """Builds a document of texts that each go on where another one ends.

    Versions have ids by their content, so that a second import adds only what is new.

    Args:
        origin: the program it comes from.
        key: identifies the document among all of that program.
    """

    def __init__(self, origin: str, key: str) -> None:
        self._origin = origin
        self._id = uuid.uuid5(uuid.NAMESPACE_OID, clean_text(repr((origin, key)))).hex
        self._edits: dict[str, Edit] = {}
        self._lengths: dict[str | None, int] = {None: 0}
        """Characters of each version."""
        self.names: dict[str, str] = {}
        self.bookmarks: list[str] = []
        """Versions with a bookmark at their end."""

    def add(
        self, parent: str | None, text: str, created: float, *, key: str = "", model: str | None
    ) -> str | None:
        """Add a version that appends a text; return it, or its parent if there is no text.

        Args:
            key: tells apart versions of one text.
            model: that wrote it; None for a person, empty for an unknown one.
        """
        text = clean_text(text)
        if not text:
            return parent
        name = clean_text(repr((self._id, parent, key, text, model)))
        version = uuid.uuid5(uuid.NAMESPACE_OID, name).hex
        if version not in self._edits:
            run = None if model is None else imported_run(clean_text(model) or self._origin,
                                                          self._origin)  # fmt: skip
            self._edits[version] = Edit(
                id=version, parent=parent, start=self._lengths[parent], text=text,
                created=created, run=run,
            )  # fmt: skip
            self._lengths[version] = self._lengths[parent] + len(text)
        return version

    def document(
        self, title: str, current: str | None, settings: DocumentSettings
    ) -> ImportedDocument:
        """Return the document.

        Raises:
            UnreadableChatError: it has no text.
        """
        if not self._edits:
            raise UnreadableChatError("it is empty")
        document = Document(id=self._id, edits=self._edits.values(), current=current)
        document.names = dict(self.names)
        document.bookmarks = {each: self._lengths[each] for each in self.bookmarks}
        document.settings = settings
        return ImportedDocument(document, clean_text(title), self._origin)
