"""HTTP by the openai client: retries, keys, proxies, bounds. Slow to import: `transports` does it.

The client's own stream is not used: it takes a stream that was cut for one that is complete, and
loses errors that are plain texts.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, NoReturn

import httpx2
import openai

from gptterm import __version__
from gptterm.engine.api import RemoteModel
from gptterm.engine.remote.exchange import (
    CONNECT_TIMEOUT_S,
    MOST_BODY_BYTES,
    MOST_ERROR_BYTES,
    StatusError,
    TransportError,
    read_bounded,
)
from gptterm.engine.remote.servers import OPENAI_URL, Access

_STREAMED = {"X-Stainless-Raw-Response": "stream"}
"""The client's own header for an answer whose body it does not read; it is not sent."""
_SLACK_S = 5.0
"""The session's own time limit comes first: the client would ask again after its own."""


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
                body = await read_bounded(_Stream(response), MOST_BODY_BYTES)
            else:
                body = await read_bounded(_Stream(response), MOST_ERROR_BYTES, cut=True)
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


class OpenaiTransport:
    """The openai client of one server; implements `Transport`."""

    def __init__(self, remote: RemoteModel, access: Access, retries: int) -> None:
        self._client = openai.AsyncOpenAI(
            api_key=access.key or "none",  # not sent; the client insists on one
            base_url=remote.url,
            default_headers=dict(access.headers),
            http_client=HttpClient(remote, access),
            max_retries=retries,
        )

    @contextlib.asynccontextmanager
    async def post(self, path: str, body: dict[str, Any]) -> AsyncIterator["_Stream"]:
        """See `Transport.post`."""
        try:
            # Not by the client's resources, which walk the whole body first: a third of a call's
            # time.
            response = await self._client.post(
                f"/{path}", cast_to=httpx2.Response, body=body, options={"headers": _STREAMED}
            )
        except openai.OpenAIError as error:
            _raise(error)
        try:
            yield _Stream(response)
        finally:
            await response.aclose()

    async def models(self) -> tuple[Mapping[str, str], bytes]:
        """Ask for the list of models; return headers, with lower-case names, and body.

        Raises as `post` does.
        """
        quick = self._client.with_options(max_retries=1, timeout=2 * CONNECT_TIMEOUT_S)
        try:
            response = await quick.get("/models", cast_to=httpx2.Response)
        except (openai.OpenAIError, httpx2.HTTPError) as error:
            _raise(error)
        return _lowered(response), response.content

    async def close(self) -> None:
        """See `Transport.close`."""
        await self._client.close()


class _Stream:
    def __init__(self, response: httpx2.Response) -> None:
        self.headers = _lowered(response)
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


def _lowered(response: httpx2.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def _raise(error: Exception) -> NoReturn:
    if isinstance(error, openai.APIStatusError):
        response = error.response
        raise StatusError(response.status_code, _lowered(response), response.content) from None
    raise TransportError from error
