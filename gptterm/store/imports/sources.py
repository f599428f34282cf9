"""Open the sources of an import: files, folders, .zip archives, stdin. All are untrusted.

Only regular files are read. Memory, sizes (also decompressed) and numbers of files are bounded.
"""

import codecs
import contextlib
import os
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from gptterm.terminal import one_line

LARGEST = 1 << 30
"""Bytes per document."""
LARGEST_IN_ALL = 4 << 30
"""Bytes of all documents in a folder or an archive."""
MOST_FILES = 100_000
LARGEST_READ = 16 << 20
"""Bytes. The directory of an archive is read in one piece and grows tenfold in memory."""

_CHUNK = 4 << 20
_SNIFFED = 1024
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1
_DAMAGE = (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)
"""Exceptions that reading a damaged archive raises."""

Progress = Callable[[int], object]
"""Called with the number of bytes of each read."""


class SourceError(Exception):
    """A source cannot be read completely; the message gives the reason in a few words."""


class Document(NamedTuple):
    """A file that may contain JSON."""

    name: str
    """Printable, on one line."""
    size: int
    """Bytes; 0 if not known."""
    is_part: bool
    """Whether it is one of the files of a folder or an archive."""
    read: Callable[[int], bytes]
    """Returns the next bytes, none at the end. Raises SourceError."""


def documents(path: Path, progress: Progress) -> Iterator[Document]:
    """Yield the documents in a file, an archive or a folder, each to be read before the next.

    Raises:
        SourceError: It cannot be opened.
    """
    shown = one_line(str(path))
    try:
        if path.is_dir():
            yield from _folder(path, progress)
            return
        with _opened(path) as file:
            yield from _documents(file, shown, progress, is_part=False)
    except (OSError, ValueError) as error:  # ValueError: a null character in its name
        raise _unreadable(error) from error


def standard_input(progress: Progress) -> Iterator[Document]:
    """Yield the documents in stdin.

    Raises:
        SourceError: It cannot be read.
    """
    with open(0, "rb", closefd=False) as stdin:
        reader = _Reader(stdin, progress, LARGEST)
        if not reader.peek().startswith(_ZIP):
            yield Document("stdin", 0, False, reader.read)
            return
        # An archive has its directory at the end.
        with tempfile.TemporaryFile() as file:
            while chunk := reader.read(_CHUNK):
                file.write(chunk)
            file.seek(0)
            yield from _archive(file, "stdin", progress)


def _unreadable(error: OSError | ValueError) -> SourceError:
    return SourceError(getattr(error, "strerror", None) or str(error))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    # Opening a named pipe would block until it has a writer.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise SourceError("not a regular file; use - for stdin")
        yield file


def _documents(
    file: IO[bytes], name: str, progress: Progress, *, is_part: bool
) -> Iterator[Document]:
    """Yield a file as a document, or the documents in an archive."""
    begin = file.read(_SNIFFED)
    file.seek(0)
    if begin.startswith(_ZIP):
        yield from _archive(file, name, progress)
    elif not is_part or _is_json(begin):
        size = os.fstat(file.fileno()).st_size
        if size > LARGEST:
            raise SourceError(f"it is larger than {LARGEST >> 30} GiB")
        yield Document(name, size, is_part, _Reader(file, progress, LARGEST).read)


def _folder(path: Path, progress: Progress) -> Iterator[Document]:
    """Yield the documents in a folder and its subfolders."""
    count = total = 0
    for folder, folders, names in os.walk(path):
        folders.sort()
        for file in (Path(folder, name) for name in sorted(names)):
            if not file.is_file():
                continue  # sockets, pipes, broken links
            count += 1
            if count > MOST_FILES or total > LARGEST_IN_ALL:
                raise SourceError(f"more in it than {MOST_FILES:,} files or 4 GiB")
            shown = one_line(str(file))
            try:
                with _opened(file) as opened:
                    for document in _documents(opened, shown, progress, is_part=True):
                        total += document.size
                        yield document
            except SourceError as error:
                yield _broken(shown, error)
            except OSError as error:
                yield _broken(shown, _unreadable(error))


def _broken(name: str, error: SourceError) -> Document:
    """Return a document that raises an error when read."""

    def read(_size: int) -> bytes:
        raise error

    return Document(name, 0, True, read)


# --------------------------------------------------------------------------------- archives


def _archive(file: IO[bytes], name: str, progress: Progress) -> Iterator[Document]:
    """Yield the documents in a .zip archive.

    Raises:
        SourceError: Its directory cannot be read.
    """
    try:
        archive = zipfile.ZipFile(_BoundedFile(file))
    except _DAMAGE as error:
        raise SourceError(f"a damaged archive: {one_line(str(error))}") from error
    with archive:
        left = LARGEST_IN_ALL
        members = [info for info in archive.infolist() if not _is_skipped(info)]
        # Small ones first, so that a bomb does not use up the limit of all.
        members.sort(key=lambda info: (info.file_size, info.filename))
        for number, info in enumerate(members):
            if number >= MOST_FILES:
                raise SourceError(f"more in it than {MOST_FILES:,} files")
            shown = f"{name}, {one_line(info.filename)}"
            try:
                with _unpacked(archive, info) as stream:
                    reader = _Reader(stream, progress, min(LARGEST, left))
                    if _is_json(reader.peek()):
                        yield Document(shown, info.file_size, True, reader.read)
                    left -= reader.count
            except SourceError as error:
                # Damaged files of other kinds, such as pictures, do not matter.
                if info.filename.endswith((".json", ".jsonl")):
                    yield _broken(shown, error)


def _is_skipped(info: zipfile.ZipInfo) -> bool:
    """Whether it is a folder or an AppleDouble file of macOS."""
    return info.is_dir() or info.filename.rpartition("/")[2].startswith("._")


@contextlib.contextmanager
def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[IO[bytes]]:
    if info.flag_bits & _ENCRYPTED:
        raise SourceError("it is encrypted")
    if info.compress_type not in _PACKED:
        raise SourceError("it is compressed in an unknown way")
    try:
        stream = archive.open(info)
    except _DAMAGE as error:
        raise SourceError(f"it is damaged: {one_line(str(error))}") from error
    with stream:
        yield stream


class _BoundedFile:
    """A file that limits the size of each read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size if 0 <= size <= LARGEST_READ else LARGEST_READ + 1)
        if len(data) > LARGEST_READ:
            raise ValueError("its directory is too large")
        return data


# ------------------------------------------------------------------------------------- text


class _Reader:
    """Reads a stream as UTF-8 without byte order mark, up to a limit."""

    def __init__(self, stream: IO[bytes], progress: Progress, limit: int) -> None:
        self._stream = stream
        self._progress = progress
        self._limit = limit
        self.count = 0
        """Bytes read so far."""
        self._peeked: bytes | None = None
        self._decoder: codecs.IncrementalDecoder | None = None

    def peek(self) -> bytes:
        """Return the first bytes without consuming them."""
        if self._peeked is None:
            self._peeked = self._next(_SNIFFED)
        return self._peeked

    def read(self, size: int) -> bytes:
        """Return the next bytes, none at the end.

        Raises:
            SourceError: They cannot be read, or exceed the limit.
        """
        if self._peeked:
            chunk, self._peeked = self._peeked, b""
            return self._begin(chunk)
        is_first = self.count == 0
        chunk = self._next(size)
        return self._begin(chunk) if is_first else self._converted(chunk)

    def _begin(self, chunk: bytes) -> bytes:
        if chunk.startswith(_UTF_16):
            self._decoder = codecs.getincrementaldecoder("utf-16")("replace")
            return self._converted(chunk)
        return chunk.removeprefix(codecs.BOM_UTF8) or self._next(_CHUNK)

    def _converted(self, chunk: bytes) -> bytes:
        if self._decoder is None:
            return chunk
        text = self._decoder.decode(chunk, not chunk)
        while chunk and not text:
            chunk = self._next(_CHUNK)
            text = self._decoder.decode(chunk, not chunk)
        return text.encode("utf-8", "replace")

    def _next(self, size: int) -> bytes:
        try:
            chunk = self._stream.read(min(size, _CHUNK))
        except _DAMAGE as error:
            raise SourceError(f"it is damaged: {one_line(str(error))}") from error
        self.count += len(chunk)
        if self.count > self._limit:
            raise SourceError("it is too large")
        self._progress(len(chunk))
        return chunk


def _is_json(begin: bytes) -> bool:
    """Whether a text that begins like this may be JSON with an object or array."""
    if begin.startswith(_UTF_16):
        begin = begin[2:].replace(b"\0", b"")
    return begin.removeprefix(codecs.BOM_UTF8).lstrip(b" \t\r\n\x1e").startswith((b"{", b"["))
