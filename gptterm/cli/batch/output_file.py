"""Output file of a batch: appended to a line at a time, and gone on with after whatever ended it.

A manifest beside it says what its records are of. A process that is killed leaves whole lines and
perhaps one torn one, which is dropped; records that waited for an earlier one are made again.
"""

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from gptterm.errors import GpttermError, UsageError
from gptterm.format import escaped
from gptterm.own_files import write_own
from gptterm.regular_files import read_regular

_MOST_MANIFEST_BYTES = 16 << 20
_FLAGS = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

Manifest = dict[str, Any]
"""The model, the settings and the input that all records of a file have in common."""


class LineSet:
    """Set of line numbers, a bit each."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, number: int) -> None:
        """Add a number, from 1."""
        if number // 8 >= len(self._bits):
            self._bits.extend(bytes(number // 8 + 1))  # doubles it at least
        self._bits[number // 8] |= 1 << number % 8

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int) or number // 8 >= len(self._bits):
            return False
        return bool(self._bits[number // 8] >> number % 8 & 1)


class _Record(msgspec.Struct):
    """Line number and error of a record."""

    line: int
    error: Any = None


_DECODER = msgspec.json.Decoder(_Record)


class OutputFile:
    """The file of `--output`. A context manager.

    Args:
        path: where it is, or is to be.
        resume: go on with the records that are there.

    Raises:
        UsageError: something is there already, or another process writes it.
        GpttermError: it cannot be opened.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        self._path = path
        self._name = escaped(str(path))
        self.done = LineSet()
        """Lines that have a record."""
        self.failed = 0
        """How many of these records are errors."""
        self._descriptor = self._open()
        try:
            self._lock(self._descriptor)
            if self._size and not resume:
                raise UsageError(
                    f"{self._name} is there already: --resume goes on with it; or give another name"
                )
        except BaseException:
            os.close(self._descriptor)
            raise

    def __enter__(self) -> "OutputFile":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    @property
    def _size(self) -> int:
        return os.fstat(self._descriptor).st_size

    @property
    def _manifest_path(self) -> Path:
        return self._path.with_name(f"{self._path.name}.manifest")

    def _open(self) -> int:
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o666)
        except OSError as error:
            raise GpttermError(f"cannot write {self._name}: {error.strerror}") from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise UsageError(f"{self._name} is no file: --output needs one, > takes anything")
        return descriptor

    def _lock(self, descriptor: int) -> None:
        """Keep other processes out; the lock ends with this one, however it ends."""
        if os.name != "posix":
            return
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another gptterm batch writes {self._name}") from None
        except OSError:  # a file system without locks
            return

    def begin(self, manifest: Manifest, *, retry_errors: bool) -> None:
        """Write the manifest of a new file, or find out what a file that is there has.

        Args:
            retry_errors: drop the records of lines that failed, so that they run again.

        Raises:
            UsageError: its records are of another model, other settings or another input.
            GpttermError: a file cannot be read or written.
        """
        try:
            if self._size == 0:
                write_own(self._manifest_path, msgspec.json.encode(manifest), overwrite=True)
                return
            self._compare(manifest)
            end = self._scan()
            os.ftruncate(self._descriptor, end)
            if retry_errors and self.failed:
                self._drop_errors()
            os.lseek(self._descriptor, 0, os.SEEK_END)
        except OSError as error:
            raise GpttermError(f"cannot go on with {self._name}: {error.strerror}") from None

    def _compare(self, manifest: Manifest) -> None:
        try:
            found = msgspec.json.decode(read_regular(self._manifest_path, _MOST_MANIFEST_BYTES))
        except FileNotFoundError:
            name = escaped(self._manifest_path.name)
            raise UsageError(
                f"{self._name} has no {name}, which says what it is of: give another --output"
            ) from None
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            found = None
        found = found if isinstance(found, dict) else {}
        now = msgspec.json.decode(msgspec.json.encode(manifest))
        others = [name for name in now if found.get(name) != now[name]]
        if others:
            raise UsageError(
                f"{self._name} is of a run with other {' and '.join(others)}: run it as before, or "
                "give another --output"
            )

    def _lines(self) -> Iterator[bytes]:
        with open(os.dup(self._descriptor), "rb") as file:
            file.seek(0)
            yield from file

    def _scan(self) -> int:
        """Note which lines are done; return where the last whole record ends."""
        end = 0
        for number, line in enumerate(self._lines(), 1):
            if not line.endswith(b"\n"):
                break
            end += len(line)
            record = self._record(number, line)
            self.done.add(record.line)
            self.failed += record.error is not None
        return end

    def _record(self, number: int, line: bytes) -> _Record:
        try:
            record = _DECODER.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            record = None
        if record is None or record.line < 1:
            raise UsageError(
                f"line {number} of {self._name} is no record of gptterm batch: it was changed"
            )
        return record

    def _drop_errors(self) -> None:
        """Replace the file by one without the records of lines that failed."""
        self.done, self.failed = LineSet(), 0
        descriptor, new = tempfile.mkstemp(dir=self._path.parent, prefix=".gptterm-")
        try:
            self._lock(descriptor)
            os.chmod(new, stat.S_IMODE(os.fstat(self._descriptor).st_mode))
            with open(os.dup(descriptor), "wb") as file:
                self._copy_results(file)
            os.replace(new, self._path)
        except BaseException:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                os.unlink(new)
            raise
        os.close(self._descriptor)
        self._descriptor = descriptor

    def _copy_results(self, file: BinaryIO) -> None:
        for number, line in enumerate(self._lines(), 1):
            record = self._record(number, line)
            if record.error is None:
                self.done.add(record.line)
                file.write(line)
        file.flush()
        os.fsync(file.fileno())

    def write(self, record: bytes) -> None:
        """Append a record.

        Raises:
            GpttermError: it cannot be written.
        """
        view = memoryview(record)
        try:
            while view:
                view = view[os.write(self._descriptor, view) :]
        except OSError as error:
            raise GpttermError(
                f"cannot write {self._name}: {error.strerror}; --resume goes on from there"
            ) from None
