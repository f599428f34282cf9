"""Exchange: what a transport promises to a session. Posts, answers, errors; no I/O."""

import asyncio
import contextlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

MOST_BODY_BYTES = 8 << 20
"""Bound of an event, and of an answer that is not a stream."""
MOST_ERROR_BYTES = 64 << 10
RETRIES = 2
"""Of a request that failed for now; the server's Retry-After says when, else 0.5 s and more."""
CONNECT_TIMEOUT_S = 10.0
_REST_S = 0.1
"""Wait for the end of a stream after its last event: the connection can then be kept."""


class StatusError(Exception):
    """An answer that is an error.

    Args:
        headers: with lower-case names.
        body: at least its beginning.
    """

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers
        self.body = body


class TransportError(Exception):
    """A connection failed; the cause says how.

    Args:
        cut: the answer had begun, and ended before its end.
    """

    def __init__(self, *, cut: bool = False) -> None:
        super().__init__()
        self.cut = cut


class BodyTooLongError(Exception):
    """An answer is longer than any model list or reply."""


class Stream(Protocol):
    """An answer whose body is read as it comes."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, with lower-case names."""
        ...

    async def read(self) -> bytes:
        """Return the next bytes; none at the end.

        Raises:
            TransportError: the connection failed, or ended too early.
            TimeoutError: nothing came.
        """
        ...


class Transport(Protocol):
    """The way to one server."""

    def post(self, path: str, body: dict[str, Any]) -> AbstractAsyncContextManager[Stream]:
        """Post a request; leaving the context closes the connection, unless all was read.

        Raises:
            StatusError, TransportError: it failed, also after retries.
        """
        ...

    def get(self, path: str) -> AbstractAsyncContextManager[Stream]:
        """Ask for what is at a path; the rest is as for `post`."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


async def read_bounded(stream: Stream, most: int, *, cut: bool = False) -> bytes:
    """Read a body of at most `most` bytes.

    Args:
        cut: return the beginning of a longer one.

    Raises:
        BodyTooLongError: it is longer.
    """
    body = bytearray()
    while part := await stream.read():
        body += part
        if len(body) > most:
            if not cut:
                raise BodyTooLongError
            break
    return bytes(body[:most])


async def read_rest(stream: Stream) -> None:
    """Read the end of a body that has nothing more to say, if it is there."""
    with contextlib.suppress(TimeoutError, TransportError):
        async with asyncio.timeout(_REST_S):
            await stream.read()
