"""HTTP/1.1 on the wire: responses in any pieces, damaged ones, connections that are kept."""

import asyncio
import contextlib
import gzip
import random
from collections.abc import AsyncIterator

import pytest

from gptterm.engine.api import RemoteModel
from gptterm.engine.remote.direct import DirectTransport
from gptterm.engine.remote.exchange import (
    BodyTooLongError,
    StatusError,
    TransportError,
    read_bounded,
)
from gptterm.engine.remote.http_connection import (
    Decoder,
    HttpConnection,
    NoAnswerError,
    ProtocolError,
)
from gptterm.engine.remote.retries import retry_after_s
from gptterm.engine.remote.server_sent_events import EventParser
from gptterm.engine.remote.servers import Access
from tests.support.llm_server import Answer, LlmServer, chat, refusal, sse


class _Wire(asyncio.Transport):
    """A transport that drops what a connection writes; nothing is read from it."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Drop a request."""

    def pause_reading(self) -> None:
        """Ignore it: all pieces are there."""

    def resume_reading(self) -> None:
        """Ignore it."""


async def response(pieces: list[bytes], error: Exception | None = None) -> tuple[int, bytes, bool]:
    """Feed a response in pieces; return its status, its body, and whether it keeps."""
    connection = HttpConnection()
    connection.connection_made(_Wire())

    async def read() -> tuple[int, bytes]:
        status, _ = await connection.request(b"")
        body = b""
        while part := await connection.read():
            body += part
        return status, body

    task = asyncio.create_task(read())
    for piece in pieces:
        await asyncio.sleep(0)
        connection.data_received(piece)
    await asyncio.sleep(0)
    usable = False
    if task.done() and not task.exception():
        usable = connection.usable
    connection.connection_lost(error)
    return *await task, usable


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;x=y\r\nHello\r\n1 \r\n,\r\nA\r\n the world\r\n000\r\nX-Trailer: 1\r\n\r\n"
)
KINDS = {
    b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED: (b"Hello, the world", True),
    b"HTTP/1.1 200\r\ncontent-length:5\r\n\r\nHello": (b"Hello", True),
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nHello": (b"Hello", False),
    b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nHello": (b"Hello", False),
    b"HTTP/1.1 200 OK\r\n\r\nto the end": (b"to the end", False),
    b"HTTP/1.1 204 No Content\r\n\r\n": (b"", True),
}


@pytest.mark.parametrize("wire", KINDS)
async def test_a_response_may_arrive_in_any_pieces(wire: bytes) -> None:
    body, keeps = KINDS[wire]
    dice = random.Random(len(wire))
    for count in (0, 1, 2, 5, len(wire)):
        cuts = sorted(dice.choices(range(len(wire)), k=count))
        pieces = [
            wire[at:to] for at, to in zip([0, *cuts], [*cuts, len(wire)], strict=True) if at < to
        ]
        status, found, usable = await response(pieces)
        assert (found, usable) == (body, keeps)
        assert status in (200, 204)


async def test_a_response_cut_anywhere_is_no_whole_one() -> None:
    for at in range(len(CHUNKED)):
        with pytest.raises((NoAnswerError, TransportError)):
            await response([CHUNKED[:at]])


@pytest.mark.parametrize(
    "wire",
    [
        b"220 smtp.example ESMTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: br\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 5000,
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
    ],
)
async def test_what_is_not_http_is_refused(wire: bytes) -> None:
    with pytest.raises(ProtocolError):
        await response([wire])


def test_a_body_that_decompresses_without_end_is_read_piece_by_piece() -> None:
    decoder = Decoder("gzip")
    part = decoder.decode(gzip.compress(bytes(8 << 20)))
    assert len(part) == 1 << 20
    assert decoder.pending
    with pytest.raises(ProtocolError):
        Decoder("br")


# ------------------------------------------------------------------------ server-sent events


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_are_the_same_in_any_pieces(end: bytes) -> None:
    lines = [
        b": hm",
        b"event: x",
        b"data: a",
        b"data:b",
        b"data",
        b"",
        b"id: 1",
        b"",
        b"data: \xff",
    ]
    wire = b"\xef\xbb\xbf" + end.join([*lines, b"", b"data: cut"])
    whole = EventParser().push(wire)
    parser = EventParser()
    pieces = [found for at in range(3, len(wire)) for found in parser.push(wire[at : at + 1])]
    assert whole == pieces == ["a\nb\n", "\ufffd"]


@pytest.mark.parametrize("pieces", [[b"data: " + b"x" * 95], [b"data: 123\n"] * 20, [b"x"] * 101])
def test_an_event_too_long_is_refused_and_many_comments_are_not(pieces: list[bytes]) -> None:
    parser = EventParser(most=100)
    for _ in range(50):
        assert parser.push(b": ping\n\n") == []
    with pytest.raises(BodyTooLongError):
        [parser.push(piece) for piece in pieces]


# ----------------------------------------------------------------------------------- the pool


@contextlib.asynccontextmanager
async def opened(url: str, retries: int = 0) -> AsyncIterator[DirectTransport]:
    transport = DirectTransport(RemoteModel(server=url, url=url, model="m"), Access(), retries)
    try:
        yield transport
    finally:
        await transport.close()


async def ask(transport: DirectTransport) -> bytes:
    async with transport.post("completions", {}) as stream:
        return await read_bounded(stream, 1 << 20)


async def test_a_connection_is_kept_for_as_many_requests_as_there_are() -> None:
    answer = Answer(sse(chat("Hi")), keep=True)
    no = refusal(400, {"error": "no"})
    no.keep = True
    with LlmServer(answer, no, answer) as server:
        async with opened(server.url) as transport:
            first = await ask(transport)
            with pytest.raises(StatusError):
                await ask(transport)
            assert await ask(transport) == first
            assert server.connections == 1
            await asyncio.gather(ask(transport), ask(transport))
        assert server.connections == 2


async def test_a_kept_connection_that_was_closed_is_replaced() -> None:
    """The server closes it after the answer that promised to keep it."""
    promise = Answer(sse(chat("Hi")), headers={"Connection": "keep-alive"})
    with LlmServer(promise) as server:
        async with opened(server.url) as transport:
            for _ in range(5):
                assert b"Hi" in await ask(transport)
        assert len(server.posts) == 5


async def test_a_reply_that_was_left_is_not_read_by_the_next_request() -> None:
    rest = Answer(sse(chat("left")), keep=True, hold=True)
    with LlmServer(rest, Answer(sse(chat("next")), keep=True)) as server:
        async with opened(server.url) as transport:
            async with transport.post("completions", {}) as stream:
                assert b"left" in await stream.read()
            assert b"next" in await ask(transport)
        assert server.connections == 2


def test_a_server_says_when_to_ask_again_in_three_ways() -> None:
    assert retry_after_s({"retry-after-ms": "1500", "retry-after": "9"}) == 1.5
    assert retry_after_s({"retry-after": "9"}) == 9
    past = retry_after_s({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert past is not None
    assert past < 0
    for odd in ({}, {"retry-after": "soon"}, {"retry-after": "nan"}):
        assert retry_after_s(odd) is None
