"""LineReader: the lines of a file or a pipe, without waiting for those that are not there yet."""

import os
import select
from collections import deque
from typing import NamedTuple

MOST_LINE_BYTES = 16 << 20
_CHUNK_BYTES = 1 << 16
_MARK = b"\xef\xbb\xbf"
"""Byte order mark, which some editors begin a file with."""


class Line(NamedTuple):
    """One line of the input."""

    number: int
    """From 1, as editors count."""
    data: bytes | None
    """Without the newline; None if it is longer than `MOST_LINE_BYTES`."""


class LineReader:
    """Reads lines from a descriptor.

    Args:
        descriptor: open for reading; it stays open.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._lines: deque[bytes | None] = deque()
        self._partial = bytearray()
        self._is_overlong = False
        self._at_end = False
        self._count = 0

    @property
    def ended(self) -> bool:
        """Whether there are no more lines."""
        return self._at_end and not self._lines

    def poll(self, timeout_s: float = 0.0) -> Line | None:
        """Return the next line; None if there is none yet, or no more.

        Args:
            timeout_s: longest wait for bytes that have not arrived.

        Raises:
            OSError: the input cannot be read.
        """
        while not self._lines:
            if self._at_end or not self._readable(timeout_s):
                return None
            self._receive(os.read(self.descriptor, _CHUNK_BYTES))
        self._count += 1
        data = self._lines.popleft()
        if self._count == 1 and data is not None:
            data = data.removeprefix(_MARK)
        return Line(self._count, data)

    def _readable(self, timeout_s: float) -> bool:
        if not hasattr(select, "poll"):
            return True
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        return bool(poll.poll(1000 * timeout_s))

    def _receive(self, data: bytes) -> None:
        if not data:
            self._at_end = True
            if self._partial or self._is_overlong:
                self._end_line()
            return
        first, *others = data.split(b"\n")
        self._extend(first)
        for part in others:
            self._end_line()
            self._extend(part)

    def _extend(self, part: bytes) -> None:
        if len(self._partial) + len(part) > MOST_LINE_BYTES:
            self._is_overlong = True
            self._partial.clear()
        if not self._is_overlong:
            self._partial += part

    def _end_line(self) -> None:
        line = bytes(self._partial).removesuffix(b"\r")
        self._lines.append(None if self._is_overlong else line)
        self._partial.clear()
        self._is_overlong = False
