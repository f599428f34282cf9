"""Memory of what servers refuse: kept over restarts, bounded, for a week, without keys."""

import asyncio
import json
import os
import time
from pathlib import Path

import pytest

from gptterm.engine.api import (
    ChatPrompt,
    Event,
    GenerateRequest,
    Message,
    RemoteModel,
    SamplingParams,
)
from gptterm.engine.remote import memory
from gptterm.engine.remote.requests import Learned
from gptterm.engine.remote.servers import Access
from gptterm.engine.remote.session import Session
from tests.support.llm_server import Answer, LlmServer, Request, refusal, stream

REMOTE = RemoteModel(server="http://x/v1", url="http://x/v1", model="m")
REQUEST = GenerateRequest(
    prompt=ChatPrompt(messages=(Message(role="user", text="Hi"),)), sampling=SamplingParams(top_k=5)
)


def file() -> Path:
    return Path(os.environ["GPTTERM_HOME"], "cache", "servers.json")


def learned(reason: str = "no") -> Learned:
    return Learned(fields={"top_k": reason}, values={"seed": (3, "no")}, dialect="vllm", count=2)


async def events(session: Session) -> list[Event]:
    return [event async for event in session.generate(REQUEST)]


async def test_a_field_is_refused_once_over_restarts() -> None:
    key = "sk-very-secret"
    no = refusal(400, {"error": {"message": f"unsupported: top_k (key {key})"}})
    with LlmServer(no, stream("Hi")) as server:
        remote = RemoteModel(server=server.url, url=server.url, model="m")
        for _ in range(2):
            session = Session(remote, Access(key, "X"), remembers=True)
            found = await events(session)
            await session.close()
            assert "top-k 5 is not used" in found[0].notices[0]  # type: ignore[union-attr]
            assert key not in str(found)
    assert ["top_k" in post.body for post in server.posts] == [True, False, False]
    assert file().stat().st_mode & 0o777 == 0o600
    assert key not in file().read_text()


async def test_calls_side_by_side_that_are_refused_the_same_all_succeed() -> None:
    arrived = asyncio.Event()
    loop = asyncio.get_running_loop()
    count = 0

    def respond(request: Request) -> Answer:
        nonlocal count
        if "max_completion_tokens" in request.body:
            return stream("Hi")
        count += 1
        if count == 5:
            loop.call_soon_threadsafe(arrived.set)
        asyncio.run_coroutine_threadsafe(arrived.wait(), loop).result(30)
        message = "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."
        return refusal(400, {"error": {"message": message, "param": "max_tokens"}})

    with LlmServer(respond=respond) as server:
        remote = RemoteModel(server=server.url, url=server.url, model="m")
        session = Session(remote, Access())
        await session.open()
        found = await asyncio.gather(*(events(session) for _ in range(5)))
        await session.close()
    assert [type(each[-1]).__name__ for each in found] == ["Finished"] * 5


def test_what_was_learned_comes_back_for_this_model_only() -> None:
    memory.remember(REMOTE, learned())
    found = memory.recall(REMOTE)
    assert (found.fields, found.dialect, found.count) == ({"top_k": "no"}, "vllm", 2)
    assert found.refusal("seed", 3) == "no"
    other = RemoteModel(server="http://x/v1", url="http://x/v1", model="n")
    assert memory.recall(other) == Learned()


def test_it_is_forgotten_after_a_week(monkeypatch: pytest.MonkeyPatch) -> None:
    memory.remember(REMOTE, learned())
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 8 * 24 * 3600)
    assert memory.recall(REMOTE) == Learned()


def test_the_file_has_the_latest_hundred() -> None:
    for number in range(105):
        remote = RemoteModel(server="x", url="http://x/v1", model=f"m{number}")
        memory.remember(remote, learned())
    names = json.loads(file().read_text())
    assert len(names) == 100
    assert " m104@http://x/v1" in names


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"a": 1}', b"\xff", b"[" * 100_000])
def test_a_damaged_file_is_no_memory(data: bytes) -> None:
    memory.remember(REMOTE, learned())
    file().write_bytes(data)
    assert memory.recall(REMOTE) == Learned()
    memory.remember(REMOTE, learned())
    assert memory.recall(REMOTE).fields == {"top_k": "no"}


def test_a_folder_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTTERM_HOME", "/dev/null/x")
    memory.remember(REMOTE, learned())
    assert memory.recall(REMOTE) == Learned()
