"""Engines that die, models that are not there, text that wants to harm: the chat goes on."""

import os
import signal

import pytest

from tests.support.scripted import Fault, Script
from tests.tui.conftest import Open

HOSTILE = (
    "plain \x1b[2J\x1b]0;title\x07 \x9b31m \x85 [red]markup[/] \u202eevil\u202c | a | b |\n|--|\n"
    + "x" * 10_000
    + " 家族👨‍👩‍👧 e\u0301\u0301\u0301 \U0001f3fb"
)


@pytest.mark.parametrize("at", ["prefill", "decode"])
async def test_a_killed_engine_is_started_again(open_tui: Open, at: str) -> None:
    fault = Fault(at="prefill" if at == "prefill" else "decode", how="die", token=3, generation=0)
    script = Script.saying("One two three four five.", rate=50, faults=(fault,))
    async with open_tui(script) as desk:
        await desk.ready()
        pid = desk.controller.engine.client.pid
        await desk.say("go")
        await desk.until(lambda: desk.controller.engine.client.pid not in (None, pid))
        assert "✗ failed: " in desk.text
        # A process that is killed takes with it the tokens of its last milliseconds.
        assert ("" if at == "prefill" else "One two three").startswith(desk.turns[1][1])
        await desk.until(lambda: "the engine was restarted" in desk.notice)


async def test_an_engine_killed_from_outside(open_tui: Open) -> None:
    script = Script.saying("word " * 50, rate=100, endless=True)
    async with open_tui(script, max_tokens=9999) as desk:
        await desk.ready()
        desk.screen.prompt.put("go")
        await desk.press("enter")
        await desk.until(lambda: desk.controller.reply and desk.controller.reply.tokens > 3)
        pid = desk.controller.engine.client.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await desk.until(lambda: desk.idle)
        assert desk.turns[1][1].startswith("word")
        assert "✗ failed: " in desk.text
        await desk.ready()
        desk.screen.prompt.put("again")
        await desk.press("enter")
        await desk.until(lambda: desk.controller.reply and desk.controller.reply.tokens > 3)
        assert desk.controller.engine.client.pid != pid


async def test_an_idle_engine_that_dies_is_started_for_the_next_message(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        pid = desk.controller.engine.client.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await desk.until(lambda: not desk.controller.engine.client.alive)
        await desk.say("hi")
        assert desk.turns[1][1] == "Hello, world."


@pytest.mark.parametrize("how", ["die", "raise", "out_of_memory"])
async def test_an_engine_that_cannot_load(open_tui: Open, how: str) -> None:
    script = Script.saying("Hi.", faults=(Fault(at="load", how=how),))  # type: ignore[arg-type]
    async with open_tui(script) as desk:
        await desk.type("early")
        await desk.press("enter")
        await desk.until(lambda: desk.controller.engine.phase == "failed")
        assert "no model" in desk.rows[0]
        assert "waiting: there is no model" in desk.text
        assert desk.turns == [("user", "early")]
        assert "✗" in desk.text


async def test_the_first_model_is_not_there(open_tui: Open) -> None:
    async with open_tui(model="missing") as desk:
        await desk.until(lambda: "missing could not be loaded" in desk.text)
        assert "^O chooses another model" in desk.text
        assert "is loading" not in desk.text
        assert "Messages wait until a model is loaded" in desk.text
        desk.controller.loader.load("gpt2")
        await desk.until(lambda: "gpt2 is ready to chat" in desk.text)
        assert "Message gpt2, or / for commands, @ for files" in desk.text


async def test_what_waits_is_for_the_model_that_is_chosen_meanwhile(open_tui: Open) -> None:
    async with open_tui(Script.saying("w " * 9, "Two.", rate=100, endless=True)) as desk:
        await desk.ready()
        for text in ("one", "two"):
            desk.screen.prompt.put(text)
            await desk.press("enter")
        await desk.until(lambda: desk.controller.reply and desk.controller.reply.tokens > 3)
        desk.screen.prompt.put("/model other")
        await desk.press("enter")
        await desk.until(lambda: len(desk.turns) == 4 and desk.turns[3][1])
        tree = desk.controller.chat.tree
        assert [tree.node(key).model for key in tree.path()[1::2]] == ["gpt2", "other"]
        assert "■ stopped" in desk.text
        assert "failed" not in desk.text


async def test_an_unknown_model_leaves_the_chat(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        await desk.say("hi")
        desk.screen.prompt.put("/model missing")
        await desk.press("enter")
        await desk.until(lambda: "there is no model called missing" in desk.text)
        assert desk.turns[1][1] == "Hello, world."
        await desk.until(lambda: desk.controller.engine.ready)
        await desk.say("still there?")
        assert len(desk.turns) == 4


async def test_hostile_text_draws_nothing_but_signs(open_tui: Open) -> None:
    async with open_tui(Script.saying([HOSTILE])) as desk:
        await desk.ready()
        await desk.say("go \x1b[31m red")
        assert desk.turns[1][1] == HOSTILE
        text = desk.text
        assert not any((ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 for c in text)
        assert not any(c in text for c in "\u202e\u202c\u200d")
        await desk.press("ctrl+l", "home")
        assert "[red]markup[/]" in desk.text
        # The pane on the right stands where it did.
        assert {
            row.index(label) for label in ("top-k", "min-p") for row in desk.rows if label in row
        } == {109}


async def test_a_resize_while_streaming(open_tui: Open) -> None:
    script = Script.saying("word " * 20, rate=500, endless=True)
    async with open_tui(script, max_tokens=2000) as desk:
        await desk.ready()
        desk.screen.prompt.put("go")
        await desk.press("enter")
        for size in ((60, 20), (20, 5), (200, 60), (100, 30)):
            await desk.pilot.resize_terminal(*size)
            await desk.pilot.pause()
            assert len(desk.rows) == size[1]
        await desk.press("escape")
        await desk.until(lambda: desk.idle)
        assert desk.screen.transcript.follow


async def test_a_title_is_no_markup(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        await desk.say("[red]hot[/] [/nonsense] [")
        assert "[red]hot[/] [/nonsense] [" in desk.rows[0]


async def test_a_long_reason_is_wrapped_under_the_reply(open_tui: Open) -> None:
    fault = Fault(at="decode", how="raise", token=1, generation=0)
    async with open_tui(Script.saying("One two.", faults=(fault,)), size=(44, 30)) as desk:
        await desk.ready()
        await desk.say("go")
        node = desk.controller.chat.tree.node(desk.controller.chat.tree.path()[-1])
        assert node.generation is not None
        reason = node.generation.error or ""
        assert len(reason) > 44
        shown = " ".join(row.strip("▌▎ ") for row in desk.rows)
        assert f"✗ failed: {reason}" in " ".join(shown.split())
