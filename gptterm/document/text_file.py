"""Text file of a document: read, written whole, and compared with what it was."""

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from gptterm.errors import GpttermError, UsageError
from gptterm.regular_files import read_regular
from gptterm.terminal import one_line

MOST_BYTES = 16 << 20
_CRLF = "\r\n"


class TextFile:
    """A file of UTF-8, which need not exist yet.

    Attributes:
        digest: of its bytes when it was last read or written; empty for no file.
    """

    def __init__(self, path: Path) -> None:
        # A link stays a link: what it leads to is replaced.
        self.path = Path(os.path.realpath(path))
        self.digest = b""
        self._crlf = False
        self._mark = ""

    @property
    def name(self) -> str:
        """Its path, for a line."""
        return one_line(str(self.path))

    def read(self) -> str:
        """Return its text, with LF for CR LF; empty where there is no file.

        Raises:
            UsageError: it cannot be read, is larger than 16 MiB, or not valid UTF-8.
        """
        data = self._read()
        if data is None:
            self.digest = b""
            return ""
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{self.name} is not valid UTF-8 (byte 0x{data[error.start]:02x} at offset "
                f"{error.start}); convert it first, for example with iconv"
            ) from None
        self.digest = _digest(data)
        self._mark = "\ufeff" if text.startswith("\ufeff") else ""
        text = text.removeprefix("\ufeff")
        # Only where every line ends so can the file be written again as it was.
        self._crlf = _CRLF in text and text.count("\n") == text.count(_CRLF)
        return text.replace(_CRLF, "\n") if self._crlf else text

    def _read(self) -> bytes | None:
        try:
            return read_regular(self.path, MOST_BYTES)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UsageError(f"cannot read {self.name}: {error.strerror}") from None

    def changed_elsewhere(self) -> bool:
        """Whether it is not what it was when it was last read or written."""
        try:
            data = self._read()
        except UsageError:
            return True
        return (b"" if data is None else _digest(data)) != self.digest

    def write(self, text: str) -> None:
        """Write it: all of it appears, or nothing changes. Its mode stays.

        Raises:
            GpttermError: it cannot be written.
        """
        data = (self._mark + (text.replace("\n", _CRLF) if self._crlf else text)).encode()
        try:
            self._replace(data)
        except OSError as error:
            raise GpttermError(
                f"cannot write {self.name}: {error.strerror or error}; the text is in the history"
            ) from None
        self.digest = _digest(data)

    def _replace(self, data: bytes) -> None:
        try:
            mode = stat.S_IMODE(self.path.stat().st_mode)
        except FileNotFoundError:
            mask = os.umask(0)
            os.umask(mask)
            mode = 0o666 & ~mask
        descriptor, new = tempfile.mkstemp(dir=self.path.parent, prefix=".gptterm-")
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(new, mode)
            os.replace(new, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(new)
            raise


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
