"""The prompt: lines, history, pastes, the editor, commands."""

import stat
from pathlib import Path

import pytest
from textual import events

from gptterm.tui.textual_compat.drivers import _KeyParser
from gptterm.tui.widgets.prompt import paste_placeholder, unfold
from gptterm.tui.widgets.table_list import TableList
from tests.support.scripted import Script
from tests.tui.conftest import Open


async def test_new_lines_make_it_grow_to_ten_rows(open_tui: Open) -> None:
    async with open_tui() as desk:
        for key in ("ctrl+j", "alt+enter", "shift+enter"):
            await desk.type("a")
            await desk.press(key)
        assert desk.screen.prompt.text == "a\na\na\n"
        assert desk.screen.prompt.size.height == 4
        for _ in range(12):
            await desk.press("ctrl+j")
        assert desk.screen.prompt.size.height == 10


@pytest.mark.parametrize("columns", [60, 65, 80])
async def test_it_is_wrapped_anew_in_another_width(open_tui: Open, columns: int) -> None:
    words = " ".join(f"w{number}" for number in range(25))
    async with open_tui(size=(70, 24)) as desk:
        desk.screen.prompt.put(words)
        await desk.pilot.pause()
        await desk.pilot.resize_terminal(columns, 24)
        await desk.until(lambda: desk.screen.prompt.region.right == columns)
        rows = [row[1:] for row in desk.rows if row.startswith("▌ w")]
        assert " ".join(" ".join(rows).split()) == words


async def test_nothing_is_lost_when_typing_faster_than_the_screen(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        for key in (*"first", "enter", *"second", "left", "X"):
            character = key if len(key) == 1 else None
            desk.app.post_message(events.Key(key, character))
        await desk.until(lambda: desk.screen.prompt.text == "seconXd")
        await desk.until(lambda: desk.idle and len(desk.turns) == 2)
        assert desk.turns[0] == ("user", "first")


FAMILY = "👩\u200d👩\u200d👧"


@pytest.mark.parametrize("text", [FAMILY, "می\u200cخواهم", "क्\u200dष"])
async def test_joiners_are_typed_as_other_characters(open_tui: Open, text: str) -> None:
    async with open_tui() as desk:
        for key in _KeyParser(debug=False).parse_keys(f"{text}!\u202e"):
            desk.app.post_message(key)
        await desk.until(lambda: "!" in desk.screen.prompt.text)
        assert desk.screen.prompt.text == f"{text}!"


async def test_a_cluster_is_passed_and_deleted_as_one(open_tui: Open) -> None:
    async with open_tui() as desk:
        prompt = desk.screen.prompt
        prompt.put(f"a{FAMILY}b")
        await desk.press("left", "left")
        assert prompt.cursor_location == (0, 1)
        await desk.press("right")
        assert prompt.cursor_location == (0, 1 + len(FAMILY))
        await desk.press("backspace")
        assert prompt.text == "ab"


async def test_history_at_the_edges(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        await desk.say("one")
        await desk.say("two\nlines")
        await desk.type("draft")
        await desk.press("up")
        assert desk.screen.prompt.text == "two\nlines"
        await desk.press("up", "up")
        assert desk.screen.prompt.text == "one"
        await desk.press("down", "down", "down")
        assert desk.screen.prompt.text == "draft"


async def test_a_long_paste_is_one_mark_until_it_is_sent(open_tui: Open) -> None:
    pasted = ("lorem ipsum " * 80 + "\n") * 1000
    async with open_tui() as desk:
        await desk.ready()
        await desk.type("see ")
        desk.screen.prompt.post_message(events.Paste(pasted))
        await desk.until(lambda: "[pasted 1,001 lines]" in desk.screen.prompt.text)
        await desk.press("enter")
        await desk.until(lambda: desk.idle and len(desk.turns) == 2)
        assert desk.turns[0][1] == "see " + pasted


@pytest.mark.parametrize(
    ("keys", "left"),
    [
        (["backspace"], "ab  cd"),
        (["ctrl+w"], "ab  cd"),
        (["left", "delete"], "ab  cd"),
        (["left", "x", "right", "y"], "ab x{}y cd"),
        (["shift+left", "z"], "ab z cd"),
        (["left", "left", "right", "right", "x"], "ab {}x cd"),
        (["backspace", "ctrl+underscore"], "ab {} cd"),
    ],
)
async def test_a_mark_is_one_thing(open_tui: Open, keys: list[str], left: str) -> None:
    pasted = "x" * 5000
    async with open_tui() as desk:
        prompt = desk.screen.prompt
        await desk.type("ab  cd")
        await desk.press("left", "left", "left")
        prompt.post_message(events.Paste(pasted))
        await desk.until(lambda: "[pasted 5,000 characters]" in prompt.text)
        await desk.press(*keys)
        assert prompt.message == left.format(pasted)


async def test_end_goes_to_the_end_of_the_row_then_of_the_transcript(open_tui: Open) -> None:
    async with open_tui(Script.saying("line\n" * 100)) as desk:
        await desk.ready()
        await desk.say("hi")
        await desk.type("typed")
        await desk.press("home", "pageup")
        transcript = desk.screen.transcript
        await desk.until(lambda: transcript.scroll_y < transcript.max_scroll_y)
        await desk.press("end")
        assert desk.screen.prompt.cursor_location == (0, 5)
        assert transcript.scroll_y < transcript.max_scroll_y
        await desk.press("end")
        await desk.until(lambda: transcript.scroll_y == transcript.max_scroll_y)


async def test_a_paste_cannot_draw(open_tui: Open) -> None:
    async with open_tui() as desk:
        desk.screen.prompt.post_message(events.Paste("a\x1b[31mb\r\nc"))
        await desk.until(lambda: desk.screen.prompt.text == "a␛[31mb\nc")


def test_unfold_is_one_pass() -> None:
    inner = paste_placeholder("x" * 5000)
    assert unfold(f"<{inner}>", {inner: f"has {inner} in it"}) == f"<has {inner} in it>"


async def test_where_no_editor_can_be_shown_the_text_stays(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.type("draft")
        await desk.press("ctrl+g")
        assert "cannot run an editor" in desk.notice
        assert desk.screen.prompt.text == "draft"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("/temperature hot", "must be a number, 0 or more"),
        ("/top-p 3", "must be a number above 0, up to 1"),
        ("/preset nonsense", 'there is no preset "nonsense"'),
        ("/nonsense", "there is no command /nonsense"),
        ("/seed ", "needs a whole number"),
        ("/export chat.pdf", "must end in .md"),
    ],
)
async def test_a_bad_command_is_refused_and_stays(open_tui: Open, line: str, wanted: str) -> None:
    async with open_tui() as desk:
        before = desk.controller.settings
        await desk.type(line)
        await desk.press("enter")
        assert wanted in desk.notice
        assert desk.screen.prompt.text == line
        assert desk.controller.settings == before
        assert desk.turns == []


async def test_commands_do_what_keys_do(open_tui: Open, tmp_path: Path) -> None:
    async with open_tui(Script.saying("A.", "B.", "C.")) as desk:
        await desk.ready()
        await desk.say("hi")
        file = tmp_path / "chat.md"
        for line in ("/temp 0.5", '/stop "END"', "/seed 9", "/system Be brief.", f"/export {file}"):
            desk.screen.prompt.put(line)
            await desk.press("enter")
            assert desk.screen.prompt.text == ""
        assert desk.controller.settings.sampling.temperature == 0.5
        assert desk.controller.settings.stop == ("END",)
        assert desk.controller.settings.seed == 9
        assert desk.controller.chat.tree.system == "Be brief."
        assert "Be brief." in desk.text
        assert "hi" in file.read_text()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        desk.screen.prompt.put("/regenerate")
        await desk.press("enter")
        await desk.until(lambda: desk.idle and desk.turns[1][1] == "B.")
        desk.screen.prompt.put("/stats")
        await desk.press("enter")
        assert "2 of 3 turns" in desk.notice
        desk.screen.prompt.put("/edit hello")
        await desk.press("enter")
        await desk.until(lambda: desk.idle and desk.turns[-1][1] == "C.")


async def test_two_slashes_send_one(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        await desk.say("//etc/passwd")
        assert desk.turns[0] == ("user", "/etc/passwd")


async def test_a_list_for_an_earlier_line_takes_nothing(open_tui: Open) -> None:
    async with open_tui(size=(100, 30)) as desk:
        await desk.ready()
        prompt, shown = desk.screen.prompt, desk.screen.query_one("#suggestions", TableList)
        await desk.type("/max-tok")
        await desk.until(lambda: shown.display)
        # Faster than the screen hears of it.
        prompt.insert("ens 5")
        prompt.action_send()
        await desk.until(lambda: desk.controller.settings.max_tokens == 5)
        assert prompt.text == ""


async def test_the_list_over_the_prompt(open_tui: Open) -> None:
    async with open_tui(size=(100, 30)) as desk:
        await desk.ready()
        prompt, shown = desk.screen.prompt, desk.screen.query_one("#suggestions", TableList)
        await desk.type("/re")
        await desk.until(lambda: "/repetition-penalty" in desk.text and "/regenerate" in desk.text)
        await desk.press("escape")
        assert not shown.display
        assert prompt.text == "/re"
        await desk.press("tab")
        await desk.until(lambda: shown.display)
        await desk.press("down", "tab")
        assert prompt.text == "/regenerate"
        # Names by Enter, then values by the arrows.
        prompt.put("")
        await desk.type("/temp")
        await desk.press("enter")
        await desk.until(lambda: prompt.text == "/temperature " and "preset focused" in desk.text)
        assert "divides the logits" in desk.text
        await desk.press("up", "enter")
        await desk.until(lambda: desk.notice == "temperature 0.9")
        assert prompt.text == ""
        assert not shown.display
        # What is typed is valid: the list does not replace it.
        await desk.type("/temperature 0")
        await desk.press("enter")
        await desk.until(lambda: desk.notice == "temperature 0")
        # The history is not in the way of the arrows.
        await desk.press("up")
        assert prompt.text == "/temperature 0"
        assert not shown.display
        await desk.press("up")
        assert prompt.text == "/temperature 0.9"
        prompt.put("")
        await desk.type("/model")
        await desk.press("enter")
        await desk.until(lambda: "2.5 M · 4.9 MB · chat" in desk.text)
        prompt.put("/zzz")
        await desk.until(lambda: "there is no command /zzz" in desk.text)
