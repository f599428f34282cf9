"""Import chats and texts exported by other programs, and our own exports.

Formats are detected from content, never from file names. Unreadable parts are left out and
reported; the rest is imported. Importing a file again adds only what is new in it.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from gptterm.store.history import History
from gptterm.store.imports.formats import KNOWN
from gptterm.store.imports.parsed_document import ImportedDocument
from gptterm.store.imports.reading import Chat, DocumentReader
from gptterm.store.imports.report import LeftOut, Report
from gptterm.store.imports.sources import Document, SourceError, documents, standard_input
from gptterm.store.merge import Merged
from gptterm.terminal import one_line

__all__ = ["Report", "Source", "import_files"]

Source = Path | Literal["-"]
"""A file, an archive or a folder; "-" is stdin."""
Progress = Callable[[int, int], object]
"""Called with the number of bytes read and, as far as it is known, the total."""

MOST_TURNS, MOST_CHARACTERS = 10_000, 16 << 20
"""Turns, and characters of text, per transaction."""


def import_files(
    history: History,
    sources: Sequence[Source],
    report: Report,
    progress: Progress = lambda _read, _size: None,
) -> None:
    """Import the chats in files, archives and folders.

    Args:
        report: updated as the import proceeds. With its `dry_run`, nothing is written.

    Raises:
        HistoryError: The chats cannot be written. The report counts those written before.
    """
    with _Import(history, report, progress) as running:
        for source in sources:
            running.source(source)


class _Import:
    """A running import: one batch is written while the next one is read."""

    def __init__(self, history: History, report: Report, progress: Progress) -> None:
        self._history = history
        self._report = report
        self._progress = progress
        self._read = self._size = 0
        self._batch: list[Chat] = []
        self._turns = self._characters = 0
        self._written: list[Chat] = []
        """The batch being written."""
        self._wait: Callable[[], list[Merged]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._write()
        self._finish()

    def source(self, source: Source) -> None:
        """Import the chats in a file, an archive or a folder, or from stdin."""
        name = "stdin" if source == "-" else one_line(str(source))
        found = _Found()
        try:
            for document in self._documents(source):
                reader = DocumentReader(document)
                for chat in reader.chats():
                    found.chats += 1
                    if isinstance(chat, ImportedDocument):
                        self._add_text(chat)
                    else:
                        self._add(chat)
                found.take(reader, document.name)
                without_chats = not reader.is_known and not reader.problem
                self._report.ignored += document.is_part and without_chats
        except SourceError as error:
            found.files_left_out.add(str(error), name)
        if not found.chats:
            self._report.problems.append(f"cannot read {name}: {found.problem()}")
            return
        self._report.left_out.update(found.left_out)
        self._report.files_left_out.update(found.files_left_out)
        self._report.messages_left_out.update(found.messages_left_out)

    def _documents(self, source: Source) -> Iterator[Document]:
        found = standard_input(self._count) if source == "-" else documents(source, self._count)
        for document in found:
            self._size += document.size
            yield document

    def _count(self, read: int) -> None:
        self._read += read
        self._progress(self._read, self._size)

    def _add(self, chat: Chat) -> None:
        self._batch.append(chat)
        self._turns += len(chat.conversation)
        self._characters += sum(len(node.text) for node in chat.conversation.nodes())
        if self._turns >= MOST_TURNS or self._characters >= MOST_CHARACTERS:
            self._write()

    def _add_text(self, text: ImportedDocument) -> None:
        document, is_dry = text.document, self._report.dry_run
        merged = self._history.add_document(document, text.title, dry_run=is_dry)
        self._report.add_text(document.id, text.origin, merged)

    def _write(self) -> None:
        """Start writing the batch, once the previous one is written."""
        batch, self._batch = self._batch, []
        self._turns = self._characters = 0
        chats = [chat.conversation for chat in batch]
        if self._report.dry_run:
            self._note(batch, self._history.add_all(chats, dry_run=True))
        elif chats:
            # While the previous batch is being written.
            add = self._history.prepare(chats)
            self._finish()
            self._written, self._wait = batch, add()

    def _finish(self) -> None:
        """Wait for the batch being written."""
        if self._wait is not None:
            wait, self._wait = self._wait, None
            self._note(self._written, wait())

    def _note(self, batch: list[Chat], outcomes: list[Merged]) -> None:
        """Count the outcomes of a batch."""
        for chat, merged in zip(batch, outcomes, strict=True):
            if self._report.dry_run and chat.conversation.id in self._report.ids:
                merged = Merged("unchanged", 0)  # it would have been written before
            self._report.add(chat.conversation.id, chat.origin, merged)


class _Found:
    """Results from one source."""

    def __init__(self) -> None:
        self.chats = 0
        self.left_out = LeftOut()
        self.files_left_out = LeftOut()
        self.messages_left_out = LeftOut()
        self._is_empty = True

    def take(self, reader: DocumentReader, name: str) -> None:
        """Add the results from the document of this name."""
        if reader.problem:
            self.files_left_out.add(reader.problem, name)
        self.left_out.update(reader.left_out)
        self.messages_left_out.update(reader.messages_left_out)
        if reader.is_known:
            self.left_out.update(reader.unknown)
        self._is_empty = self._is_empty and reader.is_empty

    def problem(self) -> str:
        """Explain why no chat was found."""
        if self.files_left_out:
            return self.files_left_out.counts.most_common(1)[0][0]
        if not self.left_out:
            unknown = f"no chats in a known format; known formats: {KNOWN}"
            return "it is empty" if self._is_empty else unknown
        ((reason, count),) = self.left_out.counts.most_common(1)
        of = "its only chat" if count == 1 else f"{count:,} chats"
        return f"{of}: {reason}"
