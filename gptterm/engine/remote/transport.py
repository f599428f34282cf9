"""HTTP by the openai client: retries, keys, proxies, bounds. Slow to import: only `session` does.

The client's own stream is not used: it takes a stream that was cut for one that is complete, and
loses errors that are plain texts. httpx2 parses the events.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import openai

from gptterm import __version__
from gptterm.engine.api import RemoteModel
from gptterm.engine.remote.servers import OPENAI_URL, Access

CONNECT_TIMEOUT_S = 10.0
MOST_BODY_BYTES = 8 << 20
"""Bound of an event, and of an answer that is not a stream."""
_MOST_ERROR_BYTES = 64 << 10
RETRIES = 2
"""Of a request that failed for now; the server's Retry-After says when, else 0.5 s and more."""
_STREAMED = {"X-Stainless-Raw-Response": "stream"}
"""The client's own header for an answer whose body it does not read; it is not sent."""
_SLACK_S = 5.0
"""The session's own time limit comes first: the client would ask again after its own."""


class BodyTooLongError(Exception):
    """An answer is longer than any model list or reply."""


class HttpClient(httpx2.AsyncClient):
    """Sends requests without telling the machine's details, and bounds answers that are errors.

    Redirects are not followed: the other host would get headers that are for this one.
    """

    def __init__(self, remote: RemoteModel, access: Access) -> None:
        super().__init__(
            timeout=httpx2.Timeout(access.timeout_s + _SLACK_S, connect=CONNECT_TIMEOUT_S),
            follow_redirects=False,
            # As many as are asked for at once: a batch sets its own number.
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None),
        )
        self._has_key = bool(access.key)
        self._own = {name.lower() for name, _ in access.headers}
        self._is_openai = remote.url == OPENAI_URL

    async def send(
        self, request: httpx2.Request, *, stream: bool = False, **options: Any
    ) -> httpx2.Response:
        """Send a request; the answer's body is read unless it is a success that is streamed."""
        for name in list(request.headers):
            if self._is_private(name.lower()):
                del request.headers[name]
        request.headers["User-Agent"] = f"gptterm/{__version__}"
        response = await super().send(request, stream=True, **options)
        if stream and response.is_success:
            return response
        try:
            if response.is_success:
                body = await read_bounded(response, MOST_BODY_BYTES)
            else:
                body = await read_bounded(response, _MOST_ERROR_BYTES, cut=True)
        finally:
            await response.aclose()
        kept = {
            name: value
            for name, value in response.headers.items()
            if name.lower() not in ("content-encoding", "content-length", "transfer-encoding")
        }
        return httpx2.Response(response.status_code, headers=kept, content=body, request=request)

    def _is_private(self, name: str) -> bool:
        if name in self._own:
            return False
        if name == "authorization":
            return not self._has_key
        # The client reads its own header from the request again. OPENAI_ORG_ID and
        # OPENAI_PROJECT_ID are for OpenAI.
        return (name.startswith("x-stainless") and name != "x-stainless-raw-response") or (
            name.startswith("openai-") and not self._is_openai
        )


async def read_bounded(response: httpx2.Response, most: int, *, cut: bool = False) -> bytes:
    """Read a body of at most `most` bytes.

    Args:
        cut: return the beginning of a longer one.

    Raises:
        BodyTooLongError: it is longer.
    """
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > most:
            if not cut:
                raise BodyTooLongError
            break
    return bytes(body[:most])


class Transport:
    """The openai client of one server."""

    def __init__(self, remote: RemoteModel, access: Access, retries: int = RETRIES) -> None:
        self._client = openai.AsyncOpenAI(
            api_key=access.key or "none",  # not sent; the client insists on one
            base_url=remote.url,
            default_headers=dict(access.headers),
            http_client=HttpClient(remote, access),
            max_retries=retries,
        )

    @contextlib.asynccontextmanager
    async def post(self, path: str, body: dict[str, Any]) -> AsyncIterator[httpx2.Response]:
        """Post a request for a streamed reply; closing the context closes the connection.

        Raises:
            openai.APIStatusError, openai.APIConnectionError: it failed, also after retries.
        """
        # Not by the client's resources, which walk the whole body first: a third of a call's time.
        response = await self._client.post(
            f"/{path}", cast_to=httpx2.Response, body=body, options={"headers": _STREAMED}
        )
        try:
            yield response
        finally:
            await response.aclose()

    async def models(self) -> httpx2.Response:
        """Ask for the list of models. Raises as `post` does, and BodyTooLongError."""
        quick = self._client.with_options(max_retries=1, timeout=2 * CONNECT_TIMEOUT_S)
        return await quick.get("/models", cast_to=httpx2.Response)

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()


async def events(response: httpx2.Response) -> AsyncIterator[str]:
    """Yield the data of each server-sent event.

    Raises:
        httpx2.HTTPError: the connection failed, or an event is too long.
    """
    async for event in httpx2.EventSource(response, MOST_BODY_BYTES):
        yield event.data
