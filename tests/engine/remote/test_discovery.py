"""Models of a server: its list, what it tells, what is no list."""

from typing import Any

import pytest

from gptterm.engine.remote.discovery import find
from gptterm.engine.remote.servers import Access, Servers
from gptterm.errors import ModelError
from tests.support.llm_server import Answer, LlmServer, refusal

VLLM = {"id": "qwen", "owned_by": "vllm", "max_model_len": 4096}


async def found_at(server: LlmServer, model: str = "", **more: Any) -> Any:
    remote = Servers().find(f"{model}@{server.url}")
    assert remote is not None
    return (await find(remote, Access(), **more)).remote


async def test_the_list_tells_dialect_context_and_the_only_model() -> None:
    with LlmServer(models=[VLLM]) as server:
        remote = await found_at(server)
    assert (remote.model, remote.dialect, remote.context_length) == ("qwen", "vllm", 4096)
    llama = {"id": "a.gguf", "owned_by": "llamacpp", "meta": {"n_ctx": 512}}
    with LlmServer(models=[llama]) as server:
        assert (await found_at(server)).context_length == 512


async def test_of_several_models_one_must_be_named() -> None:
    with LlmServer(models=[VLLM, {**VLLM, "id": "other\x1b[2J"}]) as server:
        assert (await found_at(server, "qwen")).model == "qwen"
        with pytest.raises(ModelError, match=r"has these models: qwen, other\\x1b\[2J; name one"):
            await found_at(server)


@pytest.mark.parametrize("models", [None, refusal(500, {"error": "no cache"})])
async def test_a_server_without_a_list_is_taken_at_its_word(models: Answer | None) -> None:
    with LlmServer(models=models) as server:
        assert (await found_at(server, "m")).model == "m"
        with pytest.raises(ModelError, match="name one with -m"):
            await found_at(server)


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (refusal(401, {"error": {"message": "no"}}), "wants a key"),
        (Answer(b"<html>", 404, {"Content-Type": "text/html"}), "usually ends in /v1"),
        (Answer(b"<html>", 200, {"Content-Type": "text/html"}), "answered with a web page"),
        (Answer((b"x" * 65536 for _ in iter(int, 1)), 200), "not valid JSON"),
    ],
)
async def test_what_is_no_list_of_models_is_told(answer: Answer, part: str) -> None:
    with LlmServer(models=answer) as server, pytest.raises(ModelError, match=part):
        await found_at(server, "m")


async def test_offline_asks_only_this_machine() -> None:
    with LlmServer(models=[VLLM]) as server:
        assert (await found_at(server, offline=True)).model == "qwen"
    remote = Servers().find("m@https://models.invalid/v1")
    assert remote is not None
    with pytest.raises(ModelError, match="gptterm is offline"):
        await find(remote, Access(), offline=True)
