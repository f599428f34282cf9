"""Each kind of server, spoken by a scripted one that refuses what that kind refuses."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from gptterm.engine.api import (
    ChatPrompt,
    Event,
    Failed,
    Finished,
    GenerateRequest,
    Message,
    Prompt,
    Reasoning,
    SamplingParams,
    Started,
    TextPrompt,
    Token,
)
from gptterm.engine.remote.discovery import find
from gptterm.engine.remote.servers import Access, Servers
from gptterm.engine.remote.session import Session
from gptterm.engine.remote.transports import open_transport
from tests.support.llm_server import (
    Answer,
    LlmServer,
    Request,
    chat,
    completion,
    model_list,
    refusal,
    sse,
    usage,
)

Json = dict[str, Any]
SAMPLING = SamplingParams(
    temperature=0.5, top_k=7, top_p=0.9, min_p=0.1, typical_p=0.7, repetition_penalty=1.2
)
HELLO = ChatPrompt(messages=(Message(role="user", text="Hello"),))
ONCE = TextPrompt(text="Once")
OPENAI_FIELDS = {
    "model", "messages", "prompt", "stream", "stream_options", "temperature", "top_p", "stop",
    "seed", "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty", "max_tokens",
}  # fmt: skip
BEST = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105]}
OTHER = {"token": "Yo", "logprob": -3.0, "bytes": [89, 111]}
IN_CHAT = {"content": [{**BEST, "top_logprobs": [BEST, OTHER]}]}
LEGACY = {
    "tokens": ["Hi"], "token_logprobs": [-0.1], "text_offset": [0],
    "top_logprobs": [{"Yo": -3.0, "Hi": -0.1}],
}  # fmt: skip
COUNTS = usage(7, 2)


class Dialect(NamedTuple):
    """A kind of server: what it sends, and what is to be made of it."""

    models: Answer
    chat: Answer
    text: Answer
    name: str
    left_out: tuple[str, ...]
    """Samplers that a notice tells of."""
    refuses: Callable[[Json], str] = lambda _: ""
    """The reason to refuse a body; empty if it is taken."""
    status: int = 400
    detail: bool = False
    """Its errors are FastAPI's."""
    alternatives: tuple[int, int] = (2, 2)
    """Of a token of a chat, and of a text; -1: it tells no log probabilities."""
    counts: tuple[int, int] = (7, 2)


def listed(id: str = "m", headers: Json | None = None, **more: Any) -> Answer:  # noqa: A002
    return model_list([{"id": id, "object": "model", **more}], **(headers or {}))


def beyond(known: set[str], reason: str) -> Callable[[Json], str]:
    """Refuse fields that are not known."""

    def refuses(body: Json) -> str:
        odd = sorted(set(body) - known)
        return reason.format(odd[0], set(odd)) if odd else ""

    return refuses


def without_max_tokens(body: Json) -> str:
    """OpenAI's reasoning models."""
    if "messages" in body and "max_tokens" in body:
        return "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
    odd = set(body) - OPENAI_FIELDS - {"max_completion_tokens"}
    return f"Unrecognized request argument supplied: {min(odd)}" if odd else ""


def tgis(body: Json) -> str:
    if body.get("temperature", 1) <= 0 or not 0 < body.get("top_p", 0.5) < 1:
        return "`temperature` must be strictly positive, `top_p` in (0, 1)"
    return "" if isinstance(body.get("stop", []), list) else "`stop` must be an array"


PLAIN_CHAT = Answer(sse(chat("Hi", logprobs=IN_CHAT), chat("!"), chat(finish="stop"), COUNTS))
PLAIN_TEXT = Answer(
    sse(completion("Hi", logprobs=LEGACY), completion("!"), completion(finish="stop"), COUNTS)
)
ZEROES = usage(0, 0)["usage"]
SPEAKS: dict[str, Dialect] = {
    "openai": Dialect(
        listed(owned_by="openai", headers={"openai-version": "2020-10-01"}),
        Answer(sse(
            {**chat("Hi", logprobs=IN_CHAT), "obfuscation": "xyz"},
            chat("!"), chat(finish="stop"), COUNTS,
        )),
        PLAIN_TEXT, "openai", ("top-k 7", "min-p 0.1", "typical-p 0.7", "repetition"),
        refuses=without_max_tokens,
    ),
    "vllm": Dialect(
        listed(owned_by="vllm", max_model_len=4096),
        Answer(sse(
            {"choices": [{"index": 0, "delta": {"reasoning": "Hm."}}]},
            chat("Hi", logprobs=IN_CHAT, token_ids=[5]), chat("!"),
            chat(finish="stop", stop_reason=None), COUNTS,
        )),
        PLAIN_TEXT, "vllm", ("typical-p 0.7",),
    ),
    "llamacpp": Dialect(
        listed(owned_by="llamacpp", meta={"n_ctx": 4096}),
        Answer(sse(
            b": ping\n\n", {"choices": [{"index": 0, "delta": {"reasoning_content": "Hm."}}]},
            chat("Hi", logprobs=IN_CHAT), chat("!"), chat(finish="stop"), COUNTS,
        )),
        Answer(sse(
            {**completion("Hi"), "completion_probabilities": [
                {**BEST, "id": 5, "top_logprobs": [BEST, OTHER]}
            ]},
            completion("!"), completion(finish="stop"), COUNTS,
        )),
        "llamacpp", (),
    ),
    "ollama": Dialect(
        listed(owned_by="library"), PLAIN_CHAT,
        Answer(sse(
            {**completion("Hi", logprobs=IN_CHAT), "usage": ZEROES},
            {**completion("!"), "usage": ZEROES}, completion(finish="stop"), COUNTS,
        )),
        "ollama", ("top-k 7", "min-p 0.1", "typical-p 0.7", "repetition"),
    ),
    "lmstudio": Dialect(
        listed(owned_by="organization_owner"), PLAIN_CHAT, PLAIN_TEXT, "lmstudio",
        ("typical-p 0.7",),
    ),
    "tgi": Dialect(
        listed(owned_by="m", headers={"x-compute-type": "1-h200"}),
        Answer(sse(b": keep-alive\n\n", chat("Hi", logprobs=IN_CHAT), chat("!"),
                   chat(finish="eos_token"), COUNTS)),
        Answer(sse(completion("Hi", logprobs=[-0.1]), completion("!"),
                   completion(finish="eos_token"), COUNTS)),
        "tgi", ("top-k 7", "min-p 0.1", "typical-p 0.7", "repetition"),
        refuses=tgis, status=422, alternatives=(2, 0),
    ),
    # It is told by what it refuses, and ends without [DONE].
    "transformers": Dialect(
        listed(owned_by="me"),
        Answer(sse(chat("Hi"), chat("!"), {**chat(finish="stop"), **COUNTS, "choices": [
            {"index": 0, "delta": {}, "finish_reason": "stop"}]}, done=False)),
        Answer(sse(completion("Hi"), completion("!"), {**COUNTS, "choices": [
            {"index": 0, "text": "", "finish_reason": "stop"}]}, done=False)),
        "", ("top-k 7", "min-p 0.1", "typical-p 0.7"),
        refuses=beyond(OPENAI_FIELDS, "Unexpected fields in the request: {1}"),
        status=422, detail=True, alternatives=(-1, -1),
    ),
    # A gateway that tells nothing, and takes OpenAI's fields alone.
    "unknown": Dialect(
        listed(), PLAIN_CHAT, PLAIN_TEXT, "",
        ("top-k 7", "min-p 0.1", "typical-p 0.7", "repetition"),
        refuses=beyond(OPENAI_FIELDS, "Unrecognized request argument supplied: {0}"),
    ),
}  # fmt: skip


def speaker(dialect: Dialect) -> LlmServer:
    def respond(request: Request) -> Answer:
        if reason := dialect.refuses(request.body):
            body = {"detail": reason} if dialect.detail else {"error": {"message": reason}}
            return refusal(dialect.status, body)
        return dialect.chat if "messages" in request.body else dialect.text

    return LlmServer(models=dialect.models, respond=respond)


async def opened(server: LlmServer) -> Session:
    asked = Servers().find(f"m@{server.url}")
    assert asked is not None
    remote = (await find(asked, Access())).remote
    assert remote is not None
    return Session(remote, Access(), prepare=lambda r, a: open_transport(r, a, retries=0))


async def said(session: Session, prompt: Prompt) -> list[Event]:
    request = GenerateRequest(prompt=prompt, sampling=SAMPLING, logprobs=2, stop=("END",), seed=3)
    return [event async for event in session.generate(request)]


@pytest.mark.parametrize("kind", SPEAKS)
async def test_each_kind_of_server_answers_and_continues(kind: str) -> None:
    dialect = SPEAKS[kind]
    with speaker(dialect) as server:
        session = await opened(server)
        replies = [await said(session, prompt) for prompt in (HELLO, ONCE)]
        refused = [await said(session, prompt) for prompt in (HELLO, ONCE)]
        taken = [post.path for post in server.posts]
        await session.close()
    assert session.remote.dialect == dialect.name
    # What it refused is not sent again.
    assert taken[-2:] == ["/v1/chat/completions", "/v1/completions"]
    for reply, most in zip((*replies, *refused), 2 * dialect.alternatives, strict=True):
        started, *_, end = reply
        assert isinstance(started, Started)
        assert isinstance(end, Finished), reply
        tokens = [event for event in reply if isinstance(event, Token)]
        assert "".join(token.text for token in tokens) + end.text == "Hi!"
        assert end.reason in ("eos", "stop")
        assert (end.usage.prompt_tokens, end.usage.completion_tokens) == dialect.counts
        left_out = [n for n in started.notices if "not used" in n]
        assert [any(n.startswith(part) for n in left_out) for part in dialect.left_out] == (
            [True] * len(dialect.left_out)
        )
        assert len(left_out) == len(dialect.left_out)
        if most < 0:
            assert tokens[0].logprob is None
            assert any(notice.startswith("no log probabilities") for notice in started.notices)
        else:
            assert math.isclose(tokens[0].logprob or 0.0, -0.1)
            assert len(tokens[0].alternatives) == most
    thought = "".join(event.text for event in replies[0] if isinstance(event, Reasoning))
    assert thought == ("Hm." if kind in ("vllm", "llamacpp") else "")


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (b'error: {"code": 500, "message": "slot gone"}\n\n', "slot gone"),  # old llama.cpp
        (b'data: {"error": "no "model" here"}\n\n', 'no "model" here'),  # transformers serve
        ({"error": "out of memory", "error_type": "generation"}, "out of memory"),  # TGI
        ({"error": {"message": "gone", "type": "x", "param": None, "code": 500}}, "gone"),  # vLLM
    ],
)
async def test_an_error_amid_a_reply_is_told_in_each_dialect(error: Any, part: str) -> None:
    with LlmServer(Answer(sse(chat("so far"), error)), models=SPEAKS["vllm"].models) as server:
        session = await opened(server)
        found = await said(session, HELLO)
        await session.close()
    assert isinstance(found[-1], Failed)
    assert f"failed in its reply: {part}" in found[-1].message
    assert [event.text for event in found if isinstance(event, Token)] == ["so far"]
