"""The TUI with models on servers, beside local ones."""

from collections.abc import Iterator

import pytest

from gptterm.tui.dialogs.choice import ChoiceDialog
from tests.support.llm_server import Answer, LlmServer, chat, model_list, refusal, sse, stream
from tests.support.scripted import Script
from tests.tui.conftest import Desk, Open

MODELS = [{"id": "qwen", "owned_by": "vllm", "max_model_len": 4096}]
TOP = {"token": "Yes", "logprob": -0.105, "bytes": list(b"Yes")}
OTHER = {"token": "No", "logprob": -2.303, "bytes": list(b"No")}
WITH_LOGPROBS = Answer(
    sse(
        chat("Yes", logprobs={"content": [{**TOP, "top_logprobs": [TOP, OTHER]}]}),
        chat(finish="stop"),
    )
)


@pytest.fixture(autouse=True)
def _own_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[LlmServer]:
    with LlmServer(stream("Hello", " there."), models=MODELS) as running:
        yield running


async def command(desk: Desk, line: str) -> None:
    desk.screen.prompt.put(line)
    await desk.press("enter")


async def test_a_chat_goes_to_the_server_and_shows_what_it_tells(
    open_tui: Open, server: LlmServer
) -> None:
    async with open_tui(server=server.url) as desk:
        await desk.ready()
        assert "qwen" in desk.rows[0]
        assert "vLLM" in desk.rows[0]
        assert f"qwen is ready to chat, on {server.url[7:-3]}" in desk.text
        assert desk.controller.engine.client.pid is None
        await desk.say("hi")
        assert desk.turns[-1] == ("assistant", "Hello there.")
        await desk.until(lambda: "no probabilities: vLLM" in desk.text)
        await desk.press("f4")
        await desk.until(lambda: "runs on a server and cannot be looked into" in desk.text)
        await desk.press("escape", "ctrl+l", "t")
        await desk.until(lambda: "no tints: vLLM sends none" in desk.text)
        await desk.press("right")
        await desk.until(lambda: "no tokens to look at: vLLM sends none" in desk.text)
        await desk.press("t", "t", "t", "escape")
        server.answers = [WITH_LOGPROBS]
        await desk.say("again")
        await desk.until(lambda: "2 told by the server" in desk.text)
        assert "Yes" in desk.text
        assert "90" in desk.text
        # Kept with the reply, and grown on from, though the server tells no ids.
        await desk.press("ctrl+l", "enter")
        await desk.until(lambda: "2 kept" in desk.text)
        server.answers = [stream(", it is.")]
        await desk.press("down", "enter")
        await desk.until(lambda: desk.idle and desk.turns[-1] == ("assistant", "No, it is."))
    messages = server.posts[-1].body["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user", "assistant"]
    assert messages[-1]["content"] == "No"


async def test_a_chat_may_change_between_here_and_a_server(
    open_tui: Open, server: LlmServer
) -> None:
    name = f"qwen@{server.url}"
    async with open_tui(Script.saying("From here.")) as desk:
        await desk.ready()
        await desk.say("one")
        pid = desk.controller.engine.client.pid
        assert pid is not None
        await command(desk, f"/model {name}")
        await desk.until(lambda: desk.controller.engine.is_remote and desk.controller.engine.ready)
        await desk.say("two")
        await command(desk, "/model gpt2")
        await desk.until(
            lambda: not desk.controller.engine.is_remote and desk.controller.engine.ready
        )
        await desk.say("three")
        assert desk.controller.engine.client.pid not in (None, pid)
        tree = desk.controller.chat.tree
        models = [tree.node(key).model for key in tree.path() if tree.node(key).generations]
    assert models == ["gpt2", name, "gpt2"]


async def test_escape_closes_the_connection_and_keeps_the_text(
    open_tui: Open, server: LlmServer
) -> None:
    server.answers = [Answer(sse(chat("so far"), done=False), hold=True)]
    async with open_tui(server=server.url) as desk:
        await desk.ready()
        desk.screen.prompt.put("hi")
        await desk.press("enter")
        await desk.until(lambda: "so far" in desk.text)
        await desk.press("escape")
        await desk.until(lambda: desk.idle and "stopped" in desk.notice)
        await desk.until(server.disconnected.is_set)
        assert desk.turns[-1] == ("assistant", "so far")


async def test_the_walk_says_that_a_servers_tokens_come_at_the_end(
    open_tui: Open, server: LlmServer
) -> None:
    told = {"content": [{**TOP, "top_logprobs": [TOP, OTHER]}]}
    server.answers = [Answer(sse(chat("Yes", logprobs=told), done=False), hold=True)]
    async with open_tui(server=server.url) as desk:
        await desk.ready()
        desk.screen.cycle_tints()
        desk.screen.prompt.put("hi")
        await desk.press("enter")
        await desk.until(lambda: "Yes" in desk.text)
        await desk.press("ctrl+l", "right")
        assert desk.notice == "a server's reply has its tokens once it is written"
        await desk.press("escape")
        await desk.until(lambda: desk.idle)


async def test_a_failed_reply_is_kept_and_the_next_one_goes_on(
    open_tui: Open, server: LlmServer
) -> None:
    server.answers = [
        Answer(sse(chat("half"), {"error": "the GPU is gone"})),
        refusal(401, {"error": {"message": "no"}}),
        stream("whole"),
    ]
    async with open_tui(server=server.url) as desk:
        await desk.ready()
        await desk.say("one")
        assert "the GPU is gone" in desk.notice
        assert desk.turns[-1] == ("assistant", "half")
        await desk.say("two")
        assert "wants a key" in desk.notice
        await desk.say("three")
        assert desk.turns[-1] == ("assistant", "whole")


async def test_a_server_that_is_not_there_leaves_the_model_as_it_was(open_tui: Open) -> None:
    with LlmServer() as gone:
        url = gone.url
    async with open_tui(Script.saying("From here.")) as desk:
        await desk.ready()
        await command(desk, f"/model m@{url}")
        await desk.until(lambda: "nothing listens at" in desk.notice)
        await desk.until(lambda: desk.controller.engine.ready)
        await desk.say("one")
        assert desk.turns[-1] == ("assistant", "From here.")


async def test_the_picker_offers_the_models_of_the_servers(
    open_tui: Open, server: LlmServer
) -> None:
    server.models = None
    async with open_tui(server=server.url, model="first") as desk:
        await desk.ready()
        server.models = model_list([*MODELS, {"id": "second"}])
        await desk.press("ctrl+o")
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceDialog))
        await desk.until(lambda: "servers" in desk.text)
        await desk.type("second")
        await desk.press("enter")
        await desk.until(lambda: desk.controller.settings.model == f"second@{server.url}")
        await desk.until(lambda: desk.controller.engine.ready)


async def test_reasoning_is_shown_before_the_text_and_is_no_part_of_it(
    open_tui: Open, server: LlmServer
) -> None:
    thought = {"choices": [{"index": 0, "delta": {"reasoning": "A fox, or an owl?"}}]}
    server.answers = [Answer(sse(thought, done=False), hold=True)]
    async with open_tui(server=server.url) as desk:
        await desk.ready()
        desk.screen.prompt.put("hi")
        await desk.press("enter")
        await desk.until(lambda: "thinking: A fox, or an owl?" in desk.text)
        assert desk.turns[-1] == ("assistant", "")
        await desk.press("escape")
        await desk.until(lambda: desk.idle)
        long = {"choices": [{"index": 0, "delta": {"reasoning": "It may be.\n" * 99}}]}
        server.answers = [Answer(sse(long, chat("An owl."), chat(finish="stop")))]
        await desk.say("again")
        assert desk.turns[-1] == ("assistant", "An owl.")
        # After the reply, too, and no more of it than a few rows.
        await desk.until(lambda: "thought: It may be. It may be." in desk.text)
        assert 0 < desk.text.count("It may be.") < 99
