"""Server-sent events: from the bytes of a stream to the data of its events. No I/O.

Source: the HTML standard, "Parsing an event stream". Names and ids of events say nothing in any
dialect, and are ignored. Old versions of llama.cpp have a field of their own for errors.
"""

from gptterm.engine.remote.exchange import MOST_BODY_BYTES, BodyTooLongError

_MARK = b"\xef\xbb\xbf"


class EventParser:
    """Parses a stream that may arrive in any pieces.

    Args:
        most: bound of an event, in bytes.
    """

    def __init__(self, most: int = MOST_BODY_BYTES) -> None:
        self._most = most
        self._line: list[bytes] = []
        """Pieces of the line that has not ended."""
        self._data: list[bytes] = []
        """Lines of the event that has not ended."""
        self._size = 0
        """Bytes of both."""
        self._begun = False
        self._after_return = False
        """The last byte was a carriage return, so that a newline now belongs to it."""

    def push(self, part: bytes) -> list[str]:
        """Add bytes; return the data of each event that is complete.

        Raises:
            BodyTooLongError: an event is too long.
        """
        part = self._normalised(part)
        *ended, rest = part.split(b"\n")
        found: list[str] = []
        for piece in ended:
            if self._line:
                self._line.append(piece)
                piece = b"".join(self._line)
                self._line.clear()
            self._end_line(piece, found)
        if rest:
            self._line.append(rest)
            self._grow(len(rest))
        return found

    def _normalised(self, part: bytes) -> bytes:
        """Make every end of a line a newline, and drop a byte order mark."""
        if not self._begun and part:
            self._begun = True
            part = part.removeprefix(_MARK)
        if self._after_return:
            part = part.removeprefix(b"\n")
            self._after_return = False
        if b"\r" in part:
            self._after_return = part.endswith(b"\r")
            part = part.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return part

    def _end_line(self, line: bytes, found: list[str]) -> None:
        if not line:
            if self._data:
                found.append(b"\n".join(self._data).decode("utf-8", "replace"))
                self._data.clear()
            self._size = 0
        elif line.startswith(b"data:"):
            self._data.append(line[5:].removeprefix(b" "))
            self._grow(len(line))
        elif line.startswith(b"error:"):
            self._data.append(b'{"error":%b}' % line[6:])
            self._grow(len(line))
        elif line == b"data":
            self._data.append(b"")

    def _grow(self, count: int) -> None:
        self._size += count
        if self._size > self._most:
            raise BodyTooLongError
