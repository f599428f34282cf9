"""The synchronous engine: the contract of `Engine`, over a server."""

import threading

import pytest

from gptterm.engine.api import (
    ChatPrompt,
    Engine,
    Finished,
    GenerateRequest,
    Message,
    SamplingParams,
    Started,
    Token,
)
from gptterm.engine.remote.engine import RemoteEngine, find_remote
from gptterm.engine.remote.servers import Access, Servers
from gptterm.errors import GpttermError, UsageError
from tests.support.llm_server import Answer, LlmServer, chat, sse, stream

HELLO = GenerateRequest(prompt=ChatPrompt(messages=(Message(role="user", text="Hello"),)))
MODELS = [{"id": "qwen", "owned_by": "vllm", "max_model_len": 4096}]


def opened(server: LlmServer, **more: threading.Event) -> RemoteEngine:
    remote = Servers().find(f"@{server.url}")
    assert remote is not None
    source = find_remote(remote, Access())
    interrupted = more.get("interrupted")
    return RemoteEngine(source, Access(), None if interrupted is None else interrupted.is_set)


def test_it_keeps_the_contract_of_engines() -> None:
    top = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105]}
    other = {"token": "Yo", "logprob": -3.0, "bytes": [89, 111]}
    logprobs = {"content": [{**top, "top_logprobs": [top, other]}]}
    answer = Answer(sse(chat("Hi", logprobs=logprobs), chat(finish="stop")))
    with LlmServer(answer, models=MODELS) as server:
        engine: Engine = opened(server)
        assert engine.next_token(SamplingParams()) is None
        started, token, end = engine.generate(HELLO)
        distribution = engine.next_token(SamplingParams(), limit=1)
        engine.close()
    assert engine.info.name == f"qwen@{server.url}"
    assert (engine.info.decoder, engine.info.dtype) == ("remote", "vLLM")
    assert (engine.info.context_length, engine.info.has_chat_template) == (4096, True)
    assert isinstance(started, Started)
    assert isinstance(token, Token)
    assert isinstance(end, Finished)
    assert distribution is not None
    assert [row.piece for row in distribution.candidates] == [b"Hi"]
    assert distribution.kept == 2
    with pytest.raises(UsageError, match="tokenizer"):
        engine.tokenize("a")


def test_closing_a_generation_closes_its_connection() -> None:
    answer = Answer(sse(chat("Hi"), done=False), hold=True)
    with LlmServer(answer, models=MODELS) as server:
        engine = opened(server)
        events = engine.generate(HELLO)
        assert isinstance(next(events), Started)
        assert isinstance(next(events), Token)
        events.close()
        assert server.disconnected.wait(10)
        # And the engine goes on.
        server.answers = [stream("again")]
        assert "again" in [
            event.text for event in engine.generate(HELLO) if isinstance(event, Token)
        ]
        engine.close()


@pytest.mark.parametrize(
    "answer", [Answer(mute=True), Answer(sse(chat("Hi"), done=False), hold=True)]
)
def test_an_interrupt_ends_a_wait_for_the_server(answer: Answer) -> None:
    interrupted = threading.Event()
    with LlmServer(answer, models=MODELS) as server:
        engine = opened(server, interrupted=interrupted)
        threading.Thread(target=_set_after, args=(server.arrived, interrupted)).start()
        *_, end = engine.generate(HELLO)
        assert isinstance(end, Finished)
        assert end.reason == "cancelled"
        assert server.disconnected.wait(10)
        engine.close()


def _set_after(first: threading.Event, then: threading.Event) -> None:
    if first.wait(10):
        then.set()


def test_an_interrupt_ends_the_question_for_the_models() -> None:
    with LlmServer(models=Answer(mute=True)) as server:
        remote = Servers().find(f"@{server.url}")
        assert remote is not None
        with pytest.raises(GpttermError, match="interrupted"):
            find_remote(remote, Access(), interrupted=lambda: bool(server.requests))
        assert server.disconnected.wait(10)
