"""Generations over a real socket: cuts, silence, refusals, retries, keys, proxies, TLS."""

import asyncio
import contextlib
import gzip
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gptterm.engine.api import (
    ChatPrompt,
    Event,
    Failed,
    Finished,
    GenerateRequest,
    Message,
    RemoteModel,
    SamplingParams,
    Started,
    TextPrompt,
    Token,
)
from gptterm.engine.remote.endpoint import Open
from gptterm.engine.remote.exchange import RETRIES, Transport
from gptterm.engine.remote.headers import request_headers
from gptterm.engine.remote.servers import Access, Servers
from gptterm.engine.remote.session import Session
from gptterm.engine.remote.transports import open_transport, proxied
from tests.support.llm_server import (
    Answer,
    LlmServer,
    chat,
    completion,
    refusal,
    sse,
    stream,
    usage,
)

HELLO = GenerateRequest(
    prompt=ChatPrompt(messages=(Message(role="user", text="Hello"),)),
    sampling=SamplingParams(top_k=0),
)
KEY = "sk-very-secret-key"


async def open_proxied(remote: RemoteModel, access: Access) -> Transport:
    return proxied(remote, access, RETRIES)


prepare: Open = open_transport


@pytest.fixture(params=[open_transport, open_proxied], ids=["direct", "proxied"], autouse=True)
def _both_transports(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to a server keep the same promises."""
    monkeypatch.setattr(f"{__name__}.prepare", request.param)


def session(url: str, *, timeout_s: float = 20.0, key: str = "", dialect: str = "") -> Session:
    remote = Servers().find(f"m@{url}")
    assert remote is not None
    remote = msgspec.structs.replace(remote, dialect=dialect)
    access = Access(key, "OPENAI_API_KEY" if key else "", (), timeout_s)
    return Session(remote, access, prepare=prepare)


async def events(
    url: str, request: GenerateRequest = HELLO, watch: int | None = None, **more: Any
) -> list[Event]:
    used = session(url, **more)
    try:
        return [event async for event in used.generate(request, watch=watch)]
    finally:
        await used.close()


def text(found: list[Event]) -> str:
    return "".join(event.text for event in found if isinstance(event, Token | Finished))


def failure(found: list[Event]) -> str:
    assert isinstance(found[-1], Failed), found
    return found[-1].message


# ------------------------------------------------------------------------------- streaming


async def test_a_chat_streams_and_ends_with_its_counts() -> None:
    with LlmServer(stream("Hel", "lo", "!")) as server:
        found = await events(server.url)
    started, *_, end = found
    assert isinstance(started, Started)
    assert isinstance(end, Finished)
    assert (text(found), end.reason, end.usage.prompt_tokens) == ("Hello!", "eos", 7)
    (post,) = server.posts
    assert post.path == "/v1/chat/completions"
    assert post.body["messages"] == [{"role": "user", "content": "Hello"}]


async def test_a_text_is_continued_by_completions() -> None:
    answer = Answer(sse(completion(" upon"), completion(finish="length")))
    with LlmServer(answer) as server:
        found = await events(server.url, GenerateRequest(prompt=TextPrompt(text="Once")))
    assert text(found) == " upon"
    assert (server.posts[0].path, server.posts[0].body["prompt"]) == ("/v1/completions", "Once")


BODY = sse(
    b": a comment\r\n\r\n", chat("Ein "), chat("süßer "), chat("🦊."), chat(finish="stop"),
    usage(3, 3),
)  # fmt: skip
WHOLE = "Ein süßer 🦊."


async def test_the_stream_may_arrive_in_any_pieces() -> None:
    pieces = [BODY[at : at + 1] for at in range(len(BODY))]
    with LlmServer(Answer(pieces)) as server:
        assert text(await events(server.url)) == WHOLE
    with LlmServer(Answer(gzip.compress(BODY), headers={"Content-Encoding": "gzip"})) as server:
        assert text(await events(server.url)) == WHOLE


@pytest.mark.parametrize(("whole", "step"), [(True, 1), (False, 5)])
async def test_a_stream_cut_at_any_byte_keeps_its_text_and_is_marked(
    whole: bool, step: int
) -> None:
    # The parser is the same, and takes three times as long for a request.
    step *= 7 if prepare is open_proxied else 1
    ended = BODY.index(b'"finish_reason": "stop"')
    complete = BODY.index(b"\n\n", ended) + 2
    with LlmServer(stream("x")) as server:
        used = session(server.url)
        for at in range(0, len(BODY), step):
            server.answers = [Answer(BODY[:at], whole=whole)]
            before = len(server.posts)
            found = [event async for event in used.generate(HELLO)]
            assert len(server.posts) == before + 1, "nothing is sent twice"
            assert WHOLE.startswith(text(found))
            if at >= complete:
                assert isinstance(found[-1], Finished)
            else:
                assert "ended the reply early" in failure(found)
            # What was complete is not lost.
            shown = [word for word in ("Ein ", "süßer ", "🦊.") if _arrived(word, at)]
            assert text(found) == "".join(shown)
        await used.close()


def _arrived(word: str, at: int) -> bool:
    begin = BODY.index(sse(chat(word), done=False))
    return begin + len(sse(chat(word), done=False)) <= at


async def test_an_end_without_done_is_one_if_the_reply_is_complete() -> None:
    complete = Answer(sse(chat("Hi"), chat(finish="stop"), done=False))
    # ollama's error in mid-stream: an empty chunk, and nothing more.
    lost = Answer(sse(chat("Hi"), {"choices": [{"index": 0, "delta": {}}]}, done=False))
    with LlmServer(complete, lost) as server:
        assert isinstance((await events(server.url))[-1], Finished)
        found = await events(server.url)
    assert text(found) == "Hi"
    assert "ended the reply early: the text so far is kept" in failure(found)


@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": "the GPU is gone", "type": "server_error", "code": 500}},
        {"error": "the GPU is gone"},
        b'event: error\ndata: {"error": "the GPU is gone"}\n\n',
    ],
)
async def test_an_error_in_mid_stream_keeps_the_text(error: Any) -> None:
    with LlmServer(Answer(sse(chat("so far"), error))) as server:
        found = await events(server.url)
    assert text(found) == "so far"
    assert "failed in its reply: the GPU is gone" in failure(found)
    assert len(server.posts) == 1


async def test_a_server_that_does_not_end_the_stream_is_left_after_the_reply(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gptterm.engine.remote.generation._COUNTS_TIMEOUT_S", 0.05)
    answer = Answer(sse(chat("Hi"), chat(finish="stop"), done=False), hold=True)
    with LlmServer(answer) as server:
        assert isinstance((await events(server.url))[-1], Finished)
        assert server.disconnected.wait(10)


async def test_a_stop_text_closes_the_connection() -> None:
    answer = Answer(sse(chat("one END two"), done=False), hold=True)
    request = GenerateRequest(prompt=HELLO.prompt, stop=("END",))
    with LlmServer(answer) as server:
        found = await events(server.url, request)
        assert server.disconnected.wait(10)
    assert text(found) == "one "


# ----------------------------------------------------------------------------- bad servers


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (Answer(b"data: {broken\n\n"), "not valid JSON"),
        (Answer(sse("[" * 100_000)), "not valid JSON"),
        (Answer(sse(chat("x" * (9 << 20)))), "not valid JSON"),
        (Answer([b"data: " + b"x" * 999_999] * 10), "not valid JSON"),
        (Answer(b"<html><title>Login</title>", headers={"Content-Type": "text/html"}),
         "answered with a web page"),
        (Answer(b"hello", headers={"Content-Type": "text/plain"}), "answered with text/plain"),
        (Answer(b"{", headers={"Content-Type": "application/json"}), "answered with"),
        (Answer(b"not gzip", headers={"Content-Encoding": "gzip"}), "connection to"),
    ],
)  # fmt: skip
async def test_what_is_no_stream_of_a_reply_is_told_in_a_line(answer: Answer, part: str) -> None:
    with LlmServer(answer) as server:
        assert part in failure(await events(server.url))
        assert len(server.posts) == 1


async def test_a_megabyte_in_one_chunk_is_a_reply() -> None:
    with LlmServer(stream("x" * (1 << 20))) as server:
        assert len(text(await events(server.url))) == 1 << 20


async def test_a_server_that_writes_without_end_is_left() -> None:
    chunk = sse(chat("y" * 100_000), done=False)
    request = GenerateRequest(prompt=HELLO.prompt, max_tokens=10)
    with LlmServer(Answer(chunk for _ in iter(int, 1))) as server:
        found = await events(server.url, request)
        assert server.disconnected.wait(10)
    assert isinstance(found[-1], Finished)
    assert found[-1].reason == "length"


async def test_a_whole_reply_is_taken_from_a_server_that_does_not_stream() -> None:
    whole = b'{"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}'
    with LlmServer(Answer(whole, headers={"Content-Type": "application/json"})) as server:
        assert text(await events(server.url)) == "Hi"


def _trickle() -> Iterator[bytes]:
    pace = threading.Event()
    while True:
        pace.wait(0.01)
        yield b"x"


@pytest.mark.parametrize("answer", [Answer(mute=True), Answer(_trickle()), Answer(hold=True)])
async def test_a_silent_server_is_left_after_the_stated_time(answer: Answer) -> None:
    with LlmServer(answer) as server:
        message = failure(await events(server.url, timeout_s=1))
        assert server.disconnected.wait(10)
    assert "said nothing for 1 s" in message
    assert len(server.posts) == 1


@pytest.mark.parametrize(
    "answer", [Answer(mute=True), Answer(sse(chat("a"), done=False), hold=True)]
)
async def test_a_cancel_closes_the_connection_at_once(answer: Answer) -> None:
    with LlmServer(answer) as server:
        used = session(server.url)
        generation = used.generate(HELLO)
        task = asyncio.ensure_future(anext(generation))
        await asyncio.to_thread(server.arrived.wait, 10)
        if not answer.mute:
            await task
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await generation.aclose()
        assert await asyncio.to_thread(server.disconnected.wait, 10)
        await used.close()


# ---------------------------------------------------------------------- refusals and retries


async def test_a_refused_field_is_left_out_with_a_notice_and_remembered() -> None:
    no = refusal(400, {"error": {"message": "Unrecognized request argument supplied: top_k"}})
    request = GenerateRequest(prompt=HELLO.prompt, sampling=SamplingParams(top_k=5))
    with LlmServer(no, stream("Hi")) as server:
        used = session(server.url)
        first = [event async for event in used.generate(request)]
        again = [event async for event in used.generate(request)]
        await used.close()
    assert ["top_k" in post.body for post in server.posts] == [True, False, False]
    for found in (first, again):
        assert isinstance(found[0], Started)
        assert "top-k 5 is not used" in found[0].notices[0]
        assert text(found) == "Hi"


async def test_a_long_chat_loses_its_oldest_messages_or_fails() -> None:
    no = refusal(400, {"error": {"message": "maximum context length is 10 tokens"}})
    turns = tuple(
        Message(role="assistant" if number % 2 else "user", text=str(number)) for number in range(5)
    )
    request = GenerateRequest(prompt=ChatPrompt(messages=turns))
    with LlmServer(no, stream("Hi")) as server:
        found = await events(server.url, request)
    assert isinstance(found[0], Started)
    assert found[0].dropped_messages == 2
    assert any("the oldest 2 messages" in notice for notice in found[0].notices)
    strict = GenerateRequest(prompt=request.prompt, overflow="error")
    with LlmServer(no) as server:
        found = await events(server.url, strict)
    assert isinstance(found[-1], Failed)
    assert found[-1].kind == "prompt_too_long"


async def test_a_busy_server_is_asked_again_when_it_says() -> None:
    busy = [refusal(status, {}, **{"retry-after-ms": "5"}) for status in (429, 503)]
    with LlmServer(*busy, stream("Hi")) as server:
        assert text(await events(server.url)) == "Hi"
        assert len(server.posts) == 3
    later = refusal(429, {"error": {"message": "slow down"}}, **{"Retry-After": "3600"})
    with LlmServer(later) as server:
        assert "try again in 3600 s" in failure(await events(server.url))
        assert len(server.posts) == 1


STATUSES = {
    400: ("internal", "refuses the request (400): It broke", 1),
    401: ("model", "refuses the key of OPENAI_API_KEY: It broke; give another key", 1),
    403: ("model", "forbids this: It broke: the key may not use this model", 1),
    404: ("model", "is not the address of an OpenAI-compatible API (404: It broke)", 1),
    408: ("internal", "timed out (408): It broke: try again", 3),
    409: ("internal", "reports a conflict: It broke: try again", 3),
    413: ("prompt_too_long", "too long for 127.0.0.1", 1),
    422: ("internal", "refuses the request (422): It broke", 1),
    429: ("internal", "limits the rate of requests: It broke: try again", 3),
    500: ("internal", "failed (500): It broke: try again", 3),
    503: ("internal", "is overloaded (503): It broke: try again later", 3),
    529: ("internal", "is overloaded (529): It broke: try again later", 3),
}
"""By status: the failure's kind, a part of its line, and how often it is asked for."""


async def test_each_status_is_a_line_and_only_what_may_change_is_asked_again() -> None:
    with LlmServer(stream("x")) as server:
        used = session(server.url, key=KEY)
        for status, (kind, part, asked) in STATUSES.items():
            body = {"error": {"message": "It broke."}}
            server.answers = [refusal(status, body, **{"retry-after-ms": "1"})]
            before = len(server.posts)
            found = [event async for event in used.generate(HELLO)]
            assert len(server.posts) - before == asked, status
            (failed,) = found
            assert isinstance(failed, Failed)
            assert failed.kind == kind
            assert part in failed.message
            assert failed.message.isprintable()
            assert KEY not in failed.message
        await used.close()


async def test_an_endless_error_page_is_read_in_part() -> None:
    endless = Answer((b"x" * 65536 for _ in iter(int, 1)), 400)
    with LlmServer(endless) as server:
        message = failure(await events(server.url))
    assert "refuses the request (400)" in message
    assert len(message) < 700


async def test_samples_have_their_own_calls_and_seeds() -> None:
    request = GenerateRequest(prompt=HELLO.prompt, samples=3, seed=5)
    with LlmServer(stream("a", "b")) as server:
        found = await events(server.url, request)
    assert sum(isinstance(event, Started) for event in found) == 1
    ends = [event.sample for event in found if isinstance(event, Finished)]
    assert sorted(ends) == [0, 1, 2]
    assert sorted(post.body["seed"] for post in server.posts) == [5, 6, 7]


async def test_missing_logprobs_are_told_only_to_who_asked() -> None:
    request = msgspec.structs.replace(HELLO, logprobs=2)
    with LlmServer(stream("Hi")) as server:
        found = await events(server.url, request, dialect="ollama")
        watched = await events(server.url, HELLO, 20, dialect="ollama")
    assert isinstance(found[0], Started)
    assert found[0].notices == ("no log probabilities: ollama sends none",)
    assert isinstance(watched[0], Started)
    assert watched[0].notices == ()
    assert server.posts[1].body["top_logprobs"] == 20


# ----------------------------------------------------------------------- keys and addresses


async def test_the_key_is_sent_and_nothing_about_the_machine(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_ORG_ID", "my-organisation")
    monkeypatch.setenv("OPENAI_API_KEY", "another-key")
    with LlmServer(stream("Hi")) as server:
        await events(server.url, key=KEY)
        await events(server.url)
    with_key, without = (post.headers for post in server.posts)
    assert with_key["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in without
    for headers in (with_key, without):
        assert not {"x-stainless-os", "x-stainless-arch", "openai-organization"} & set(headers)
        assert headers["user-agent"].startswith("gptterm/")
    assert KEY not in caplog.text


def test_whose_account_pays_is_told_to_openai_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_ORG_ID", "my-organisation")
    monkeypatch.delenv("OPENAI_PROJECT_ID", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    servers = Servers()
    for name, told in (("openai/gpt-4.1", "my-organisation"), ("m@http://h/v1", None)):
        remote = servers.find(name)
        assert remote is not None
        headers = dict(request_headers(remote, servers.access(remote)))
        assert headers.get("OpenAI-Organization") == told
        assert ("Authorization" in headers) == (told is not None)
        assert "OpenAI-Project" not in headers
    # The user's own come in the place of ours, in any case.
    own = Access("", "", (("user-agent", "mine"), ("X-Team", "a")))
    pairs = request_headers(RemoteModel(server="s", url="http://h/v1", model="m"), own)
    assert [value for name, value in pairs if name.lower() == "user-agent"] == ["mine"]
    assert ("X-Team", "a") in pairs


async def test_a_redirect_is_not_followed() -> None:
    with LlmServer(stream("Hi")) as other:
        away = Answer(b"", 307, {"Location": f"{other.url}/chat/completions"})
        with LlmServer(away) as server:
            message = failure(await events(server.url, key=KEY))
        assert f"redirects to {other.url}" in message
        assert other.requests == []


async def test_a_proxy_is_used_by_its_usual_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    with LlmServer(stream("Hi")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.removesuffix("/v1"))
        assert text(await events("http://models.invalid/v1")) == "Hi"
        assert proxy.posts[0].path == "http://models.invalid/v1/chat/completions"
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with LlmServer(stream("direct")) as server:
            assert text(await events(server.url)) == "direct"


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port: int = unused.getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("http://127.0.0.1:{}/v1", "nothing listens at 127.0.0.1"),
        ("http://models.invalid/v1", "there is no host models.invalid"),
    ],
)
async def test_a_server_that_is_not_there_is_told_in_a_line(url: str, part: str) -> None:
    assert part in failure(await events(url.format(closed_port())))


async def test_a_server_without_tls_is_told_apart() -> None:
    with LlmServer(stream("Hi")) as server:
        secure = server.url.replace("http://", "https://")
        assert "does not speak TLS" in failure(await events(secure))


async def test_a_certificate_of_ones_own_is_named_and_can_be_trusted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificate = Path(__file__).with_name("self_signed.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with LlmServer(stream("Hi"), tls=context) as server:
        message = failure(await events(server.url))
        assert "is not trusted" in message
        assert "SSL_CERT_FILE" in message
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert text(await events(server.url)) == "Hi"
