"""Readability where there is little room, and in the terminal's own colours."""

import re
from pathlib import Path

import pytest
from rich.segment import Segment

from gptterm.config import TuiSettings
from gptterm.tui.dialogs.choice import ChoiceDialog
from gptterm.tui.fields import FIELDS
from gptterm.tui.widgets.options import BAR
from gptterm.tui.widgets.sampling import FILLED, TRACK
from gptterm.tui.widgets.table_list import TableList
from tests.support.scripted import Script
from tests.tui.conftest import Desk, Open

ANSI = ("ansi", "ansi-light")


def segment(desk: Desk, text: str) -> Segment:
    """The piece of the screen that has this text."""
    for strip in desk.app.screen._compositor.render_strips():
        for piece in strip:
            if text in piece.text:
                return piece
    raise AssertionError(f"no {text} on the screen:\n{desk.text}")


@pytest.mark.parametrize("theme", ["dark", "light", *ANSI])
async def test_the_chosen_row_of_a_list_has_a_sign(open_tui: Open, theme: str) -> None:
    async with open_tui(tui=TuiSettings(theme=theme)) as desk:
        await desk.press("f5", "p", "down")
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceDialog))
        chosen = desk.app.screen.query_one(TableList)
        rows = [row for row in desk.rows if f"│ {BAR}" in row]
        assert chosen.highlighted == 1
        assert ["focused" in row for row in rows] == [True]


@pytest.mark.parametrize("theme", ANSI)
async def test_muted_text_is_dim_in_the_terminals_own_colours(open_tui: Open, theme: str) -> None:
    async with open_tui(tui=TuiSettings(theme=theme)) as desk:
        await desk.say("hi")
        style = segment(desk, " send").style
        assert style is not None
        assert style.dim
        await desk.press("f1")
        await desk.until(lambda: "(interrupt)" in desk.text)
        style = segment(desk, "(interrupt)").style
        assert style is not None
        assert style.dim


async def test_a_typed_value_can_be_read_in_the_terminals_own_colours(open_tui: Open) -> None:
    async with open_tui(tui=TuiSettings(theme="ansi")) as desk:
        await desk.press("f5", "1")
        style = segment(desk, "1▏").style
        assert style is not None
        assert style.color is not None
        assert style.bgcolor is not None
        assert not style.color.is_default
        assert not style.bgcolor.is_default


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 29)])
async def test_samplers_and_next_token_share_little_room(
    open_tui: Open, size: tuple[int, int]
) -> None:
    async with open_tui(Script.saying("Hello."), size=size) as desk:
        await desk.say("hi")
        await desk.press("f5")
        await desk.until(lambda: " bit" in desk.text)
        assert desk.screen.distribution.region.bottom <= desk.screen.notice_line.region.y
        assert "more" in str(desk.screen.sampling.border_subtitle)
        for field in FIELDS:
            assert field.label in desk.text
            await desk.press("down")


async def test_a_sampler_can_be_changed_in_the_smallest_terminal(open_tui: Open) -> None:
    async with open_tui(size=(20, 5)) as desk:
        await desk.press("f5", "down", "left")
        assert any("top-k" in row and "30" in row for row in desk.rows)


async def test_lists_are_there_in_the_smallest_terminal(open_tui: Open) -> None:
    async with open_tui(size=(20, 5)) as desk:
        await desk.press("ctrl+o")
        await desk.until(lambda: f"{BAR} tiny" in desk.text)
        await desk.press("escape", "ctrl+p")
        await desk.until(lambda: "Stop the" in desk.text)
        await desk.press("escape", "f1")
        await desk.until(lambda: "text; when" in desk.text)


async def test_a_cut_cell_of_a_list_ends_at_a_word(open_tui: Open) -> None:
    async with open_tui(size=(80, 24)) as desk:
        await desk.press("slash")
        await desk.until(lambda: "divides the logits, 0 or more; 0 is… " in desk.text)


async def test_lists_take_the_room_of_a_tall_screen(open_tui: Open) -> None:
    async with open_tui(size=(120, 60)) as desk:
        await desk.press("slash")
        await desk.until(lambda: "/stop " in desk.text)
        await desk.press("ctrl+c", "f7")
        await desk.until(lambda: "sampler-order" in desk.text and "a Hub id" in desk.text)
        # The frame ends under what is said of the chosen row.
        frame = next(index for index, row in enumerate(desk.rows) if "esc back" in row)
        assert desk.rows[frame - 1].strip(" │")


async def test_a_click_changes_the_row_under_it(open_tui: Open) -> None:
    async with open_tui(size=(80, 24)) as desk:
        await desk.press("f5", "up", "up")
        panel = desk.screen.sampling
        row = next(y for y, text in enumerate(desk.rows) if "seed" in text)
        await desk.pilot.click(panel, offset=(panel.size.width - 1, row - panel.region.y))
        assert desk.controller.settings.seed == 0


async def test_what_was_refused_is_not_hidden_by_a_hint(open_tui: Open) -> None:
    async with open_tui() as desk:
        # Enter is taken before it is told that the text is another.
        desk.screen.prompt.put("/top-p 3")
        desk.screen.prompt.action_send()
        await desk.pilot.pause()
        assert "/top-p must be a number above 0, up to 1" in desk.text
        await desk.press("backspace")
        assert "keep a token while" in desk.text


async def test_the_palette_begins_with_what_counts_everywhere(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("ctrl+p")
        await desk.until(lambda: "Stop the reply" in desk.text)
        assert desk.text.index("Stop the reply") < desk.text.index("Another reply")


async def test_signs_of_notices_take_no_room_from_them(open_tui: Open) -> None:
    async with open_tui(size=(60, 20)) as desk:
        desk.screen.show_notice("error", "something that is told in a few words")
        await desk.press("f8")
        await desk.until(lambda: "✗  something that is told in a few words" in desk.text)


async def test_stop_texts_are_told_as_they_are_typed(open_tui: Open) -> None:
    async with open_tui() as desk:
        desk.screen.prompt.put('/stop "a b" "\\n"')
        await desk.press("enter")
        assert desk.notice == 'stop "a b" "\\n"'


async def test_an_empty_chat_is_not_exported(open_tui: Open, tmp_path: Path) -> None:
    async with open_tui() as desk:
        desk.screen.prompt.put(f"/export {tmp_path}/chat.md")
        await desk.press("enter")
        assert desk.notice == "there is nothing to export yet"
        assert not Path(tmp_path, "chat.md").exists()


async def test_the_name_for_an_export_ends_with_a_word(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.say("Tell me a story about a fox and a lantern.")
        await desk.press("ctrl+s")
        await desk.until(lambda: "tell-me-a-story-about-a-fox-and-a.md" in desk.text)


async def test_where_a_hit_is_stands_on_one_row(open_tui: Open) -> None:
    async with open_tui(size=(60, 20)) as desk:
        await desk.ready()
        await desk.say("Tell me a story about a fox and a lantern and what the moon said")
        await desk.press("ctrl+f")
        await desk.type("lantern")
        await desk.until(lambda: any("…  you · today" in row for row in desk.rows))


async def test_a_list_says_what_enter_does_where_nothing_matches(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("ctrl+o")
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceDialog))
        await desk.type("/a/path")
        await desk.until(lambda: "⏎ uses this text" in desk.text)
        await desk.press("enter")
        await desk.until(lambda: desk.controller.settings.model == "/a/path")


@pytest.mark.parametrize("theme", ["dark", "light", *ANSI])
async def test_what_is_marked_with_the_mouse_can_be_seen(open_tui: Open, theme: str) -> None:
    async with open_tui(tui=TuiSettings(theme=theme)) as desk:
        await desk.say("hi\nsome words to mark")
        transcript = desk.screen.transcript
        await desk.pilot.mouse_down(transcript, offset=(2, 2))
        await desk.pilot.hover(transcript, offset=(11, 2))
        await desk.pilot.mouse_up(transcript, offset=(11, 2))
        await desk.pilot.pause()
        assert desk.screen.get_selected_text() == "some words"
        marked, rest = segment(desk, "some words").style, segment(desk, " to mark").style
        assert marked is not None
        assert rest is not None
        assert marked.bgcolor != rest.bgcolor
        assert marked.color != marked.bgcolor


async def test_a_click_on_an_arrow_walks_the_versions(open_tui: Open) -> None:
    async with open_tui(Script.saying("First.", "Second.")) as desk:
        await desk.say("hi")
        await desk.press("ctrl+r")
        await desk.until(lambda: desk.idle and "2/2 ◂▸" in desk.text)
        y, row = next((y, row) for y, row in enumerate(desk.rows) if "2/2 ◂▸" in row)
        x = row.index("◂▸")
        await desk.pilot.click(offset=(x, y))
        await desk.until(lambda: "1/2 ◂▸" in desk.text)
        await desk.pilot.click(offset=(x + 1, y))
        await desk.until(lambda: "2/2 ◂▸" in desk.text)


FRAME = re.compile("[\u2500-\u257f▌▎▔▁▏▕━]")


def framed(desk: Desk) -> float:
    """The part of the screen that is frames. A slider is a value."""
    text = re.sub(f" {FILLED}*{TRACK}* ", "", desk.text)
    return len(FRAME.findall(text)) / (80 * 24)


@pytest.mark.parametrize("key", ["", "f5", "ctrl+b", "ctrl+l", "f4"])
async def test_frames_take_little_of_the_screen(open_tui: Open, key: str) -> None:
    async with open_tui(size=(80, 24)) as desk:
        await desk.say("one")
        await desk.say("two")
        if key:
            await desk.press(key)
        assert 0 < framed(desk) < 0.06


@pytest.mark.parametrize("theme", ["dark", "ansi"])
async def test_frames_take_little_of_write_mode(open_tui: Open, theme: str) -> None:
    async with open_tui(size=(80, 24), tui=TuiSettings(theme=theme)) as desk:
        await desk.ready()
        await desk.press("f3")
        write = desk.app.write_screen
        assert write is not None
        await desk.until(lambda: write.writing.opened)
        await desk.type("The moon")
        await desk.press("tab")
        await desk.until(lambda: len(write.area.text) > 8 and not write.writing.streaming)
        for key in ("", "escape", "ctrl+b", "f5", "ctrl+l"):
            if key:
                await desk.press(key)
            assert framed(desk) < 0.06, key


async def test_text_is_in_the_middle_of_a_wide_screen(open_tui: Open) -> None:
    async with open_tui(Script.saying("word " * 60), size=(200, 30)) as desk:
        await desk.say("hi")
        transcript = desk.screen.transcript.region
        rows = [row for row in desk.rows if row.count("word") > 9]
        start, end = rows[0].index("word"), rows[0].rindex("word") + len("word")
        assert 90 < end - start <= 96
        left, right = start - transcript.x, transcript.right - (start + 96)
        assert abs(left - right) <= 2


async def test_a_pane_of_write_mode_stands_at_the_edge(open_tui: Open) -> None:
    async with open_tui(size=(200, 30)) as desk:
        await desk.press("f3")
        screen = desk.app.write_screen
        assert screen is not None
        await desk.until(lambda: screen.is_mounted and screen.writing.opened)
        await desk.press("f5")
        await desk.until(lambda: screen.panes.samplers.region.right == 200)
        text, room = screen.area.region, screen.panes.samplers.region.x
        assert abs(text.x - (room - text.right)) <= 1


async def test_a_speakers_line_is_true_of_the_version_in_view(open_tui: Open) -> None:
    async with open_tui(Script.saying("One two.", "One two three four."), seed=7) as desk:
        await desk.say("hi")
        await desk.press("ctrl+r")
        await desk.until(lambda: desk.idle and "2/2 ◂▸" in desk.text)
        tree = desk.controller.chat.tree
        versions = [tree.node(key).generation for key in tree.siblings(tree.path()[1])]
        await desk.press("ctrl+l")
        for number, key in ((2, "shift+left"), (1, "shift+right")):
            run = versions[number - 1]
            assert run is not None
            line = next(row for row in desk.rows if "◂▸" in row)
            assert re.search(
                rf"gpt2 +{run.tokens} tokens · .* tok/s · seed {run.seed}   {number}/2 ◂▸", line
            )
            await desk.press(key)


async def test_a_dimmed_turn_has_no_colours_in_its_parts(open_tui: Open) -> None:
    script = Script.saying("# Head\n\n`code` and more.", "Two.", dropped_messages=2)
    async with open_tui(script) as desk:
        await desk.say("one")
        code = segment(desk, "code").style
        await desk.say("two")
        await desk.until(lambda: "out of context" in desk.text)
        dimmed, text = segment(desk, "code").style, segment(desk, " and more.").style
        assert code is not None
        assert dimmed is not None
        assert text is not None
        assert dimmed.color == text.color != code.color


async def test_a_click_on_more_below_goes_to_the_end(open_tui: Open) -> None:
    async with open_tui(Script.saying("line\n" * 60)) as desk:
        await desk.say("hi")
        await desk.press("pageup")
        await desk.until(lambda: "more below" in desk.text)
        y, row = next((y, row) for y, row in enumerate(desk.rows) if "more below" in row)
        await desk.pilot.click(offset=(row.index("more below"), y))
        await desk.until(lambda: "more below" not in desk.text)
        assert desk.screen.transcript.follow
