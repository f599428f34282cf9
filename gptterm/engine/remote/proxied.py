"""ProxiedTransport: requests through the proxies that the usual variables name, by httpx2.

It speaks to proxies of all kinds, with their keys. Importing it takes a tenth of a second.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
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
from gptterm.engine.remote.retries import with_retries
from gptterm.engine.remote.servers import Access

_SLACK_S = 5.0
"""The session's own time limit comes first: a time-out here would be another try."""


class ProxiedTransport:
    """Connections to one server; implements `Transport`.

    Redirects are not followed: the other host would get headers that are for this one.
    """

    def __init__(self, remote: RemoteModel, access: Access, retries: int) -> None:
        self._url = remote.url
        self._retries = retries
        self._headers = request_headers(remote, access)
        self._client = httpx2.AsyncClient(
            timeout=httpx2.Timeout(access.timeout_s + _SLACK_S, connect=CONNECT_TIMEOUT_S),
            follow_redirects=False,
            # As many as are asked for at once: a batch sets its own number.
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None),
        )
        self._client.headers.clear()

    @contextlib.asynccontextmanager
    async def post(self, path: str, body: dict[str, Any]) -> AsyncIterator["_Stream"]:
        """See `Transport.post`."""
        async with self._exchange("POST", path, msgspec.json.encode(body)) as stream:
            yield stream

    @contextlib.asynccontextmanager
    async def get(self, path: str) -> AsyncIterator["_Stream"]:
        """See `Transport.get`."""
        async with self._exchange("GET", path) as stream:
            yield stream

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._client.aclose()

    @contextlib.asynccontextmanager
    async def _exchange(
        self, method: str, path: str, data: bytes | None = None
    ) -> AsyncIterator["_Stream"]:
        async def send() -> httpx2.Response:
            return await self._send(method, path, data)

        response = await with_retries(send, self._retries)
        try:
            yield _Stream(response)
        finally:
            await response.aclose()

    async def _send(self, method: str, path: str, data: bytes | None) -> httpx2.Response:
        """Send a request once; return an answer that is a success."""
        try:
            request = self._client.build_request(
                method, f"{self._url}/{path}", content=data, headers=self._headers
            )
            response = await self._client.send(request, stream=True)
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise TransportError from error
        if response.is_success:
            return response
        stream = _Stream(response)
        try:
            body = await read_bounded(stream, MOST_ERROR_BYTES, cut=True)
        finally:
            await response.aclose()
        raise StatusError(response.status_code, stream.headers, body)


class _Stream:
    def __init__(self, response: httpx2.Response) -> None:
        self.headers: Mapping[str, str] = {
            name.lower(): value for name, value in response.headers.items()
        }
        self._parts = response.aiter_bytes()

    async def read(self) -> bytes:
        """See `Stream.read`."""
        try:
            async for part in self._parts:
                if part:
                    return part
        except httpx2.TimeoutException as error:
            raise TimeoutError from error
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            raise TransportError(cut=isinstance(error, httpx2.RemoteProtocolError)) from error
        return b""
