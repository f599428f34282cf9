"""Talking: sending, streaming, stopping, regenerating, editing, continuing, queueing."""

import asyncio
import gc
import weakref
from pathlib import Path

from textual.strip import Strip

from gptterm.tui.garbage import COLLECT_EVERY
from gptterm.tui.textual_compat import KEY_S
from tests.support.scripted import LEFT_CORE, Fault, Script
from tests.tui.conftest import Open

LONG = "word " * 200


async def test_a_message_is_answered(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        await desk.type("hi there")
        await desk.press("enter")
        await desk.until(lambda: desk.idle and len(desk.turns) == 2)
        assert desk.turns == [("user", "hi there"), ("assistant", "Hello, world.")]
        assert "Hello, world." in desk.text
        assert "/1024" in desk.rows[0]
        assert "seed 42" in desk.rows[0]


async def test_a_message_before_the_model_is_ready_waits(open_tui: Open) -> None:
    found = asyncio.Event()
    async with open_tui(Script.saying("Here."), found=found) as desk:
        desk.screen.prompt.put("early")
        await desk.press("enter")
        assert "early" in desk.text
        await desk.until(lambda: "waiting: looking for the model" in desk.text)
        found.set()
        await desk.until(lambda: desk.idle and len(desk.turns) == 2)
        assert desk.turns[1] == ("assistant", "Here.")
        assert "waiting" not in desk.text


async def test_the_first_prompt_is_sent(open_tui: Open) -> None:
    async with open_tui(prompt="from the command line") as desk:
        await desk.until(lambda: desk.idle and len(desk.turns) == 2)
        assert desk.turns[0] == ("user", "from the command line")


async def test_escape_keeps_the_part_that_was_made(open_tui: Open) -> None:
    async with open_tui(Script.saying(LONG, rate=200, endless=True)) as desk:
        await desk.ready()
        await desk.type("go")
        await desk.press("enter")
        await desk.until(lambda: desk.controller.reply and desk.controller.reply.tokens > 5)
        await desk.press("escape")
        await desk.until(lambda: desk.idle)
        assert desk.turns[1][1].startswith("word word")
        assert "word ■" in desk.text


async def test_a_key_is_drawn_on_a_core_that_the_engine_leaves(open_tui: Open, home: Path) -> None:
    log = home / "engine.log"
    async with open_tui(Script.saying(LONG, rate=200, endless=True)) as desk:
        await desk.ready()
        await desk.type("go")
        await desk.press("enter")
        await desk.until(lambda: desk.controller.reply and desk.controller.reply.tokens > 5)
        assert LEFT_CORE.format(KEY_S) not in log.read_text()
        await desk.press("x")
        left, back = LEFT_CORE.format(KEY_S), LEFT_CORE.format(0)
        await desk.until(lambda: back in log.read_text().partition(left)[2])


async def test_garbage_passes_leave_the_old_alone_while_a_reply_streams(open_tui: Open) -> None:
    async with open_tui(Script.saying(" word", rate=200, endless=True)) as desk:
        await desk.ready()
        desk.screen.prompt.put("hi")
        await desk.press("enter")
        await desk.until(lambda: "word" in desk.text)
        assert gc.get_freeze_count() > 0


async def test_garbage_of_old_is_collected_after_a_few_replies(open_tui: Open) -> None:
    class Cycle:
        """A cycle, as Textual's strips are."""

        def __init__(self) -> None:
            self.own = self

    async with open_tui() as desk:
        await desk.ready()
        old = Cycle()
        await desk.say("it is frozen")
        left = weakref.ref(old)
        del old
        for number in range(1, COLLECT_EVERY):
            assert left() is not None
            await desk.say(f"more {number}")
        assert left() is None
        assert gc.get_freeze_count() == 0


async def test_what_was_drawn_of_a_dialog_is_dropped(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()

        async def strips_after(times: int) -> int:
            for _ in range(times):
                await desk.press("f1")
                await desk.until(lambda: len(desk.app.screen_stack) == 2)
                await desk.press("escape")
            gc.collect()
            return sum(type(each) is Strip for each in gc.get_objects())

        before = await strips_after(2)
        assert await strips_after(3) < before + 60


async def test_continue_goes_on_with_the_same_turn(open_tui: Open) -> None:
    script = Script.saying("One two", " three four")
    async with open_tui(script) as desk:
        await desk.ready()
        await desk.say("count")
        await desk.press("ctrl+t")
        await desk.until(lambda: desk.idle and "four" in desk.turns[1][1])
        assert desk.turns[1][1] == "One two three four"
        assert "One two three four" in desk.text


async def test_regenerate_makes_a_sibling(open_tui: Open) -> None:
    async with open_tui(Script.saying("First.", "Second.")) as desk:
        await desk.ready()
        await desk.say("hi")
        await desk.press("ctrl+r")
        await desk.until(lambda: desk.idle and desk.turns[1][1] == "Second.")
        assert "2/2 ◂▸" in desk.text
        await desk.press("ctrl+l", "shift+left")
        assert desk.turns[1][1] == "First."
        assert "1/2 ◂▸" in desk.text


async def test_an_edit_is_a_branch_and_the_old_one_stays(open_tui: Open) -> None:
    async with open_tui(Script.saying("First.", "Second.")) as desk:
        await desk.ready()
        await desk.say("original")
        await desk.press("ctrl+l", "up", "e")
        assert desk.screen.prompt.text == "original"
        await desk.type(" changed")
        await desk.press("enter")
        await desk.until(lambda: desk.idle and len(desk.controller.chat.tree) == 4)
        assert desk.turns == [("user", "original changed"), ("assistant", "Second.")]
        await desk.press("ctrl+l", "up", "shift+left")
        assert desk.turns == [("user", "original"), ("assistant", "First.")]


async def test_escape_leaves_an_edit(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        await desk.say("original")
        await desk.press("ctrl+l", "up", "e", "escape")
        assert desk.screen.prompt.text == ""
        await desk.say("another")
        assert len(desk.turns) == 4


async def test_messages_while_one_is_answered_wait_in_order(open_tui: Open) -> None:
    script = Script.saying(*(f"Answer {n}." for n in range(3)), rate=100)
    async with open_tui(script) as desk:
        await desk.ready()
        for text in ("one", "two", "three"):
            desk.screen.prompt.put(text)
            await desk.press("enter")
        await desk.until(lambda: desk.idle)
        assert [text for _, text in desk.turns] == [
            "one", "Answer 0.", "two", "Answer 1.", "three", "Answer 2.",
        ]  # fmt: skip


async def test_a_reply_is_drawn_while_another_message_waits(open_tui: Open) -> None:
    async with open_tui(Script.saying(LONG, rate=200, endless=True)) as desk:
        await desk.ready()
        for text in ("one", "two"):
            desk.screen.prompt.put(text)
            await desk.press("enter")
        await desk.until(lambda: "word word" in desk.text and "waiting: another" in desk.text)
        await desk.press("escape")
        await desk.until(lambda: desk.idle)
        assert len(desk.turns) == 2
        await desk.press("up")
        assert desk.screen.prompt.text == "two"


async def test_an_edit_gives_the_draft_back(open_tui: Open) -> None:
    async with open_tui(Script.saying("First.", "Second.")) as desk:
        await desk.ready()
        await desk.say("original")
        await desk.type("draft")
        await desk.press("ctrl+l", "up", "e", "escape")
        assert desk.screen.prompt.text == "draft"


async def test_new_chat_and_back(open_tui: Open) -> None:
    async with open_tui(Script.saying("A.", "B.")) as desk:
        await desk.ready()
        await desk.say("first chat")
        await desk.press("ctrl+n")
        assert desk.turns == []
        await desk.say("second chat")
        assert "first chat" in desk.text
        await desk.press("ctrl+b", "ctrl+b", "down", "enter")
        assert desk.turns[0] == ("user", "first chat")


async def test_dropped_turns_say_so(open_tui: Open) -> None:
    async with open_tui(Script.saying("A.", "B.", dropped_messages=2)) as desk:
        await desk.ready()
        await desk.say("one")
        await desk.say("two")
        assert desk.text.count("out of context") == 2


async def test_notices_of_the_engine_are_said(open_tui: Open) -> None:
    async with open_tui(Script.saying("A.", load_notices=("float32 instead of int8",))) as desk:
        await desk.ready()
        await desk.until(lambda: "float32 instead of int8" in desk.text)
        assert "1 notice" in desk.rows[0]


async def test_a_prompt_that_fails_keeps_the_chat(open_tui: Open) -> None:
    fault = Fault(at="decode", how="out_of_memory", token=2, generation=0)
    async with open_tui(Script.saying("One two three four.", "Again.", faults=(fault,))) as desk:
        await desk.ready()
        await desk.say("go")
        assert desk.turns[1][1] == "One two"
        assert "✗ failed: out of memory" in desk.text
        await desk.say("go on")
        assert desk.turns[3][1] == "Again."
