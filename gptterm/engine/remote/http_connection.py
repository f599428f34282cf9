"""HTTP/1.1 connection: a request, its response, and the next request. RFC 9112.

A twentieth of the time that general clients take for a request: a batch has thousands in a few
seconds. What a server sends is bounded before it is parsed.
"""

import asyncio
import re
import zlib
from collections.abc import Mapping
from typing import cast

from gptterm.engine.remote.exchange import TransportError

_MOST_HEAD_BYTES = 64 << 10
_MOST_SIZE_LINE = 4 << 10
_MOST_UNREAD = 256 << 10
"""Bytes received ahead of their reader; then the server has to wait."""
_MOST_DECODED = 1 << 20
"""Bytes that one read decompresses."""
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9]\d\d)(?: |$)")
_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;|$)")


class NoAnswerError(ConnectionError):
    """The server closed the connection without an answer."""


class ProtocolError(ValueError):
    """Bytes of a server that are not HTTP."""


class HttpConnection(asyncio.Protocol):
    """One connection; one request at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False
        self._error: Exception | None = None
        self._paused = False
        self._chunked = False
        self._left: int | None = None
        """Bytes left of the body, or of its chunk; None: it ends with the connection."""
        self._after_chunk = self._in_trailers = False
        self._done = True
        self._keeps = False

    @property
    def usable(self) -> bool:
        """Whether another request can be sent."""
        return self._done and self._keeps and not self._ended and not self._buffer

    # --------------------------------------------------------------------- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Keep bytes for the reader."""
        self._buffer += data
        if len(self._buffer) > _MOST_UNREAD and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> None:
        """Note that no more comes."""
        self._ended = True
        self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        """Note that no more comes, and why."""
        self._ended = True
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _more(self) -> bool:
        """Wait for bytes; False if no more come."""
        if self._ended:
            return False
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        size = len(self._buffer)
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        return len(self._buffer) > size

    # ------------------------------------------------------------------------------- exchange

    async def request(self, data: bytes) -> tuple[int, dict[str, str]]:
        """Send a request; return the status and the headers, with lower-case names.

        Raises:
            NoAnswerError: the connection ended before an answer.
            ProtocolError: the answer is not HTTP.
        """
        self._done = self._keeps = False
        self._transport.write(data)
        while True:
            status, headers, version = _parsed(await self._head())
            if status >= 200:
                break
        self._left, self._chunked = _framing(status, headers)
        self._after_chunk = self._in_trailers = False
        self._done = self._left == 0 and not self._chunked
        kept = headers.get("connection", "").lower()
        self._keeps = version == b"1" and "close" not in kept and self._left is not None
        return status, headers

    async def _head(self) -> bytes:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            if len(self._buffer) > _MOST_HEAD_BYTES:
                raise ProtocolError("a head too long")
            if not await self._more():
                raise NoAnswerError("no answer") from self._error
        head = bytes(self._buffer[:end])
        del self._buffer[: end + 4]
        return head

    async def read(self) -> bytes:
        """Return the next bytes of the body; none at its end.

        Raises:
            TransportError: it ended too early.
            ProtocolError: it is not HTTP.
        """
        while not self._done:
            part = self._take_chunks() if self._chunked else self._take()
            if part:
                return part
            if not self._done and not await self._more():
                if self._left is None and not self._chunked and self._error is None:
                    self._done = True
                elif not self._buffer:
                    raise TransportError(cut=self._error is None) from self._error
                else:
                    raise TransportError(cut=True) from self._error
        return b""

    def _take(self) -> bytes:
        most = len(self._buffer) if self._left is None else self._left
        part = bytes(self._buffer[:most])
        del self._buffer[:most]
        if self._left is not None:
            self._left -= len(part)
            self._done = self._left == 0
        return part

    def _take_chunks(self) -> bytes:
        """Take what is there of the chunks."""
        buffer, parts, at = self._buffer, [], 0
        assert self._left is not None
        while not self._done:
            if self._left:
                part = buffer[at : at + self._left]
                parts.append(part)
                at += len(part)
                self._left -= len(part)
                self._after_chunk = True
                if self._left:
                    break
            end = buffer.find(b"\r\n", at)
            if end < 0:
                if len(buffer) - at > _MOST_SIZE_LINE:
                    raise ProtocolError("a chunk without a size")
                break
            self._take_line(bytes(buffer[at:end]))
            at = end + 2
        del buffer[:at]
        return b"".join(parts)

    def _take_line(self, line: bytes) -> None:
        """Take a line between chunks: a chunk's end, the size of the next one, or a trailer."""
        if self._in_trailers:
            self._done = not line
        elif self._after_chunk:
            if line:
                raise ProtocolError("a chunk longer than its size")
            self._after_chunk = False
        else:
            size = _SIZE.match(line)
            if size is None:
                raise ProtocolError("a chunk without a size")
            self._left = int(size[1], 16)
            self._in_trailers = self._left == 0

    def close(self) -> None:
        """Close the connection at once."""
        self._transport.abort()


def _parsed(head: bytes) -> tuple[int, dict[str, str], bytes]:
    first, *lines = head.split(b"\r\n")
    found = _STATUS.match(first)
    if found is None:
        raise ProtocolError("no status line")
    headers = {}
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            raise ProtocolError("a header without a colon")
        headers[name.lower()] = value.strip()
    return int(found[2]), headers, found[1]


def _framing(status: int, headers: Mapping[str, str]) -> tuple[int | None, bool]:
    """Return the body's length, None if it ends with the connection, and whether it has chunks."""
    if status in (204, 304):
        return 0, False
    coding = headers.get("transfer-encoding", "").lower()
    if coding == "chunked":
        return 0, True
    if coding:
        raise ProtocolError(f"an unknown coding {coding[:40]}")
    length = headers.get("content-length")
    if length is None:
        return None, False
    if not re.fullmatch(r"[0-9]{1,15}", length):
        raise ProtocolError("a length that is no number")
    return int(length), False


class Decoder:
    """Decompresses a body by its `Content-Encoding`.

    Raises:
        ProtocolError: it is compressed in a way that was not asked for.
    """

    def __init__(self, coding: str) -> None:
        self._zlib = None
        if coding in ("gzip", "x-gzip", "deflate"):
            self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 32)
        elif coding not in ("", "identity"):
            raise ProtocolError(f"an encoding that was not asked for ({coding[:40]})")

    @property
    def pending(self) -> bool:
        """Whether `decode` has more without more bytes."""
        return self._zlib is not None and bool(self._zlib.unconsumed_tail)

    def decode(self, part: bytes) -> bytes:
        """Return decoded bytes, perhaps none yet.

        Raises:
            zlib.error: they are damaged.
        """
        if self._zlib is None:
            return part
        return self._zlib.decompress(self._zlib.unconsumed_tail + part, _MOST_DECODED)
