"""DirectTransport: requests over kept HTTP/1.1 connections, without a proxy.

General clients take 1 to 2 ms of a core for a request, so that a few hundred a second of a batch
keep them busy, and up to a second to be imported. This does what a server of this API needs, in a
tenth of that: keys, TLS, retries, bounds. `proxied` goes through proxies.
"""

import asyncio
import contextlib
import errno
import re
import ssl
import time
import urllib.request
import zlib
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec

from gptterm.engine.api import RemoteModel
from gptterm.engine.remote.exchange import (
    CONNECT_TIMEOUT_S,
    MOST_ERROR_BYTES,
    StatusError,
    TransportError,
    read_bounded,
)
from gptterm.engine.remote.headers import request_headers
from gptterm.engine.remote.http_connection import (
    Decoder,
    HttpConnection,
    NoAnswerError,
    ProtocolError,
)
from gptterm.engine.remote.retries import with_retries
from gptterm.engine.remote.servers import Access

_IDLE_S = 4.0
"""A connection that was idle for longer is not used again: servers close it after 5 s and more."""
_HAPPY_EYEBALLS_S = 0.25
"""Head start of one address of a host over the next (RFC 8305)."""
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class ConnectTimeoutError(Exception):
    """Nobody answered at the server's address."""


class HandshakeError(ssl.SSLError):
    """The server closed the connection instead of greeting by TLS."""

    reason = "connection closed"


class BadHeaderError(ValueError):
    """A header that cannot be sent."""


def is_direct(url: str) -> bool:
    """Whether the usual variables name no proxy for an address."""
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    if not ({parts.scheme, "all"} & set(proxies)):
        return True
    return bool(urllib.request.proxy_bypass(parts.netloc))


class DirectTransport:
    """A pool of connections to one server, as many as there are requests at once."""

    def __init__(self, remote: RemoteModel, access: Access, retries: int) -> None:
        parts = urlsplit(remote.url)
        assert parts.hostname is not None
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._path = parts.path
        self._tls = _tls() if parts.scheme == "https" else None
        self._retries = retries
        self._head = _head([("Host", parts.netloc), *request_headers(remote, access)])
        self._idle: deque[tuple[float, HttpConnection]] = deque()
        self._open: set[HttpConnection] = set()

    @contextlib.asynccontextmanager
    async def post(self, path: str, body: dict[str, Any]) -> AsyncIterator["_Stream"]:
        """See `Transport.post`."""
        data = msgspec.json.encode(body)
        head = f"POST {self._path}/{path} HTTP/1.1\r\nContent-Length: {len(data)}\r\n"
        async with self._answer(head, data) as stream:
            yield stream

    @contextlib.asynccontextmanager
    async def get(self, path: str) -> AsyncIterator["_Stream"]:
        """See `Transport.get`."""
        async with self._answer(f"GET {self._path}/{path} HTTP/1.1\r\n", b"") as stream:
            yield stream

    async def close(self) -> None:
        """See `Transport.close`."""
        for connection in self._open:
            connection.close()
        self._open.clear()
        self._idle.clear()

    @contextlib.asynccontextmanager
    async def _answer(self, head: str, data: bytes) -> AsyncIterator["_Stream"]:
        stream = await with_retries(lambda: self._send(head, data), self._retries)
        try:
            yield stream
        finally:
            self._release(stream.connection)

    async def _send(self, first: str, body: bytes) -> "_Stream":
        """Send a request once; return an answer that is a success."""
        if self._head is None:
            raise TransportError from BadHeaderError()
        data = first.encode() + self._head + body
        while (kept := self._kept()) is not None:
            try:
                return await self._exchange(kept, data)
            except TransportError as error:
                # The server has closed it meanwhile, without reading from it.
                if not isinstance(error.__cause__, NoAnswerError):
                    raise
        return await self._exchange(await self._connect(), data)

    def _kept(self) -> HttpConnection | None:
        """Return the connection used last that can be used again."""
        while self._idle:
            since, connection = self._idle.pop()
            if connection.usable and time.monotonic() - since < _IDLE_S:
                return connection
            self._drop(connection)
        return None

    async def _connect(self) -> HttpConnection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                _, connection = await loop.create_connection(
                    HttpConnection, self._host, self._port, ssl=self._tls,
                    happy_eyeballs_delay=_HAPPY_EYEBALLS_S,
                )  # fmt: skip
        except TimeoutError as error:
            raise TransportError from ConnectTimeoutError(str(error))
        except ConnectionResetError as error:
            raise TransportError from (HandshakeError() if self._tls is not None else error)
        except OSError as error:
            if f"[Errno {errno.ECONNREFUSED}]" in str(error):  # by each address of the host
                raise TransportError from ConnectionRefusedError(str(error))
            raise TransportError from error
        self._open.add(connection)
        return connection

    async def _exchange(self, connection: HttpConnection, data: bytes) -> "_Stream":
        try:
            status, headers = await connection.request(data)
            stream = _Stream(connection, headers)
            if not 200 <= status < 300:
                body = await read_bounded(stream, MOST_ERROR_BYTES, cut=True)
                raise StatusError(status, headers, body)
        except StatusError:
            self._release(connection)
            raise
        except (OSError, ProtocolError) as error:
            self._drop(connection)
            raise TransportError from error
        except BaseException:
            self._drop(connection)
            raise
        return stream

    def _release(self, connection: HttpConnection) -> None:
        if connection.usable:
            self._idle.append((time.monotonic(), connection))
        else:
            self._drop(connection)

    def _drop(self, connection: HttpConnection) -> None:
        connection.close()
        self._open.discard(connection)


class _Stream:
    def __init__(self, connection: HttpConnection, headers: Mapping[str, str]) -> None:
        self.headers = headers
        self.connection = connection
        self._decoder = Decoder(headers.get("content-encoding", "").lower())

    async def read(self) -> bytes:
        """See `Stream.read`."""
        try:
            while True:
                part = b"" if self._decoder.pending else await self.connection.read()
                if not part and not self._decoder.pending:
                    return b""
                if decoded := self._decoder.decode(part):
                    return decoded
        except (OSError, ProtocolError, zlib.error) as error:
            raise TransportError from error


def _tls() -> ssl.SSLContext:
    from httpx2 import create_ssl_context  # the system's trust store

    return create_ssl_context()


def _head(headers: Sequence[tuple[str, str]]) -> bytes | None:
    """Return headers as they are sent; None if one of the user's cannot be."""
    if not all(_NAME.fullmatch(name) and _VALUE.fullmatch(value) for name, value in headers):
        return None
    return "".join(f"{name}: {value}\r\n" for name, value in headers).encode("latin-1") + b"\r\n"
