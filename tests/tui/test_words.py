"""Words on the screen: they are said, stay long enough, and are true of the view."""

from pathlib import Path

import pytest

from gptterm.config import TuiSettings
from tests.store.chats import talk
from tests.support.scripted import Script
from tests.tui.conftest import Desk, Open
from tests.tui.saved import fill

ENDLESS = Script.saying("word " * 50, "Two.", rate=200, endless=True)


async def begin(desk: Desk, text: str = "go") -> None:
    """Send a message and wait until some of its reply is there."""
    await desk.ready()
    desk.screen.prompt.put(text)
    await desk.press("enter")
    await desk.until(lambda: desk.controller.reply and desk.controller.reply.tokens > 3)


# ------------------------------------------------------------------------------- notices


async def test_what_is_said_again_comes_out_of_a_hints_shadow(open_tui: Open) -> None:
    async with open_tui() as desk:
        desk.screen.prompt.put("/temp -1")
        await desk.press("enter")
        await desk.until(lambda: "must be a number" in desk.text)
        await desk.press("x", "backspace")
        await desk.until(lambda: "must be a number" not in desk.text)
        await desk.press("enter")
        await desk.until(lambda: "must be a number" in desk.text)


async def test_that_a_message_still_waits_is_not_covered_by_the_replys_notices(
    open_tui: Open,
) -> None:
    script = Script.saying("w " * 50, rate=200, endless=True, notices=("cut short",))
    async with open_tui(script) as desk:
        await begin(desk)
        assert desk.notice == "cut short"
        desk.screen.prompt.put("second")
        await desk.press("enter", "escape")
        await desk.until(lambda: desk.idle)
        assert "1 waiting: ↑ brings back" in desk.text


async def test_a_reply_that_nothing_is_added_to_says_so(open_tui: Open) -> None:
    async with open_tui(Script.saying("Done.", "")) as desk:
        await desk.ready()
        await desk.say("hi")
        await desk.press("ctrl+t")
        await desk.until(lambda: "nothing to add" in desk.notice)
        assert desk.turns[-1] == ("assistant", "Done.")


@pytest.mark.parametrize("line", ["/max-tokens 40", '/stop "a"', "/seed 9"])
async def test_what_counts_from_the_next_reply_says_so(open_tui: Open, line: str) -> None:
    async with open_tui(ENDLESS) as desk:
        await begin(desk)
        desk.screen.prompt.put(line)
        await desk.press("enter")
        assert desk.notice.endswith("from the next reply")
        desk.screen.prompt.put("/temp 0.5")
        await desk.press("enter")
        assert desk.notice == "temperature 0.5"


async def test_help_of_one_command_and_of_all(open_tui: Open) -> None:
    async with open_tui() as desk:
        desk.screen.prompt.put("/help temp")
        await desk.press("enter")
        assert "/temperature X" in desk.notice
        desk.screen.prompt.put("/help")
        await desk.press("enter")
        await desk.until(lambda: "/regenerate" in desk.text)


async def test_an_error_goes_when_the_value_is_right(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("f5", "down", "9", ".", "enter")
        await desk.until(lambda: "✗" in desk.text)
        await desk.press("right")
        await desk.until(lambda: "✗" not in desk.text)


# ---------------------------------------------------------------- true of what is in view


async def test_the_numbers_are_those_of_the_chat_in_view(open_tui: Open) -> None:
    async with open_tui(Script.saying("one two three", "four")) as desk:
        await desk.ready()
        await desk.say("hi")
        first = desk.rows[0]
        assert "/1024" in first
        desk.screen.prompt.put("/stats")
        await desk.press("enter")
        assert "first token" in desk.notice
        await desk.until(lambda: "after the next reply" not in desk.text)
        await desk.press("ctrl+n")
        await desk.until(lambda: "/1024" not in desk.rows[0])
        desk.screen.prompt.put("/stats")
        await desk.press("enter")
        assert "0 of 0 turns" in desk.notice
        assert "first token" not in desk.notice
        await desk.until(lambda: "after the next reply" in desk.text)
        await desk.say("and now")
        await desk.until(lambda: "/1024" in desk.rows[0] and desk.rows[0] != first)
        await desk.press("ctrl+b", "ctrl+b", "down", "enter")
        await desk.until(lambda: desk.turns[0][1] == "hi")
        await desk.until(lambda: desk.rows[0] == first)
        await desk.until(lambda: "after the next reply" in desk.text)


async def test_another_version_has_no_next_token(open_tui: Open) -> None:
    async with open_tui(Script.saying("one", "two")) as desk:
        await desk.ready()
        await desk.say("hi")
        await desk.press("ctrl+r")
        await desk.until(lambda: desk.idle and "2/2" in desk.text)
        await desk.until(lambda: "after the next reply" not in desk.text)
        await desk.press("ctrl+l", "shift+left")
        await desk.until(lambda: "1/2" in desk.text and "after the next reply" in desk.text)
        await desk.press("shift+right")
        await desk.until(lambda: "2/2" in desk.text and "after the next reply" not in desk.text)


async def test_a_model_that_was_chosen_is_not_offered_against(open_tui: Open, path: Path) -> None:
    fill(path, talk("hi", "one"))
    async with open_tui(last=True) as desk:
        await desk.ready()
        said = len(desk.screen.notice_line.history)
        desk.screen.prompt.put("/model third")
        await desk.press("enter")
        await desk.until(lambda: desk.controller.engine.info and desk.controller.engine.ready)
        await desk.until(lambda: "third" in desk.rows[0])
        assert not any("written by" in s.text for s in desk.screen.notice_line.history[said:])


# ----------------------------------------------------------------------- keys in sentences


async def test_sentences_name_the_keys_as_they_are(open_tui: Open) -> None:
    tui = TuiSettings(keys={"interrupt": "f11", "stop": "f10", "new": "nokey", "palette": "f12"})
    async with open_tui(ENDLESS, tui=tui) as desk:
        assert "new: there is no key nokey" in desk.notice
        assert "^N new" in desk.rows[-1]
        assert "F12 palette" in desk.rows[-1]
        await begin(desk)
        await desk.press("ctrl+r")
        assert desk.notice == "stop the reply first (F10)"
        await desk.press("f11")
        assert "F11 again quits" in desk.notice
        await desk.press("f12")
        await desk.until(lambda: desk.app.screen is not desk.screen)


@pytest.mark.parametrize("key", ["f1", "ctrl+o", "ctrl+f", "ctrl+p"])
async def test_control_c_counts_in_every_dialog(open_tui: Open, key: str) -> None:
    async with open_tui(ENDLESS) as desk:
        await begin(desk)
        await desk.press(key)
        await desk.until(lambda: desk.app.screen is not desk.screen)
        await desk.press("ctrl+c")
        await desk.until(lambda: desk.idle)
        await desk.press("ctrl+c", "ctrl+c")
        assert desk.app._exit


# ------------------------------------------------------------------------------- editing


async def test_the_system_text_is_edited_and_the_draft_stays(open_tui: Open) -> None:
    async with open_tui(system="Be terse.") as desk:
        await desk.ready()
        await desk.say("hi")
        await desk.type("my draft")
        await desk.press("ctrl+l", "home", "e")
        assert desk.screen.prompt.text == "Be terse."
        await desk.press("escape")
        assert desk.screen.prompt.text == "my draft"
        await desk.press("ctrl+l", "home", "e")
        desk.screen.prompt.put("Be kind.")
        await desk.press("enter")
        assert desk.controller.chat.tree.system == "Be kind."
        assert desk.screen.prompt.text == "my draft"
        assert len(desk.turns) == 2


async def test_nothing_is_edited_while_a_reply_runs(open_tui: Open) -> None:
    async with open_tui(ENDLESS) as desk:
        await begin(desk)
        await desk.press("ctrl+l", "e")
        assert "stop the reply first" in desk.notice
        assert desk.screen.prompt.text == ""
        for line in ("/edit", "/edit other"):
            desk.screen.prompt.put(line)
            await desk.press("enter")
            assert desk.screen.prompt.text == line
        assert len(desk.controller.chat.tree) == 2


async def test_an_edited_text_is_no_command(open_tui: Open) -> None:
    async with open_tui(Script.saying("A.", "B.")) as desk:
        await desk.ready()
        desk.screen.prompt.put("//temp 5")
        await desk.press("enter")
        await desk.until(lambda: desk.idle and len(desk.turns) == 2)
        await desk.press("ctrl+l", "up", "e")
        await desk.type("0")
        assert "/temperature X" not in desk.text
        await desk.press("enter")
        await desk.until(lambda: desk.idle and desk.turns[0][1] == "/temp 50")


async def test_earlier_messages_of_a_chat_that_comes_back(open_tui: Open, path: Path) -> None:
    fill(path, talk("first question", "one"))
    async with open_tui(last=True) as desk:
        await desk.ready()
        await desk.press("up")
        assert desk.screen.prompt.text == "first question"


async def test_a_chat_in_memory_is_deleted_and_brought_back(open_tui: Open) -> None:
    async with open_tui(save=False) as desk:
        await desk.ready()
        await desk.say("hi")
        await desk.press("ctrl+b", "ctrl+b", "d")
        await desk.until(lambda: desk.turns == [])
        assert "deleted hi; u brings it back" in desk.notice
        await desk.press("u")
        await desk.until(lambda: len(desk.turns) == 2)
        assert "brought back hi" in desk.notice


@pytest.mark.parametrize("key", ["f5", "ctrl+b"])
async def test_a_pane_without_room_has_no_focus(open_tui: Open, key: str) -> None:
    async with open_tui(size=(120, 30)) as desk:
        await desk.ready()
        await desk.press(key)
        await desk.until(lambda: desk.screen.panes.has_focus)
        await desk.pilot.resize_terminal(60, 20)
        await desk.until(lambda: desk.screen.prompt.has_focus)
        await desk.type("hello")
        assert desk.screen.prompt.text == "hello"


async def test_a_pane_that_is_left_lies_over_nothing(open_tui: Open) -> None:
    async with open_tui(size=(60, 20)) as desk:
        await desk.ready()
        await desk.press("ctrl+b")
        await desk.until(lambda: "━chats━" in desk.text)
        await desk.press("tab")
        await desk.until(lambda: not desk.screen.panes.has_focus and "━chats━" not in desk.text)
