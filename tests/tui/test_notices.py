"""Notices: whole, in the smallest view too, and not lost when the next line comes."""

from gptterm.tui.widgets.notice import NoticeLine
from tests.tui.conftest import Desk, Open

LONG = "the engine was ended: " + "the machine may be out of memory; " * 3 + "look there"


def shown(desk: Desk) -> str:
    """The words on the screen, as one line; of rows with a dialog, the dialog's."""
    rows = [row[row.find("│") + 1 :] for row in desk.rows]
    return " ".join(" ".join(row.strip("│╭╮╰╯ ▁▂▃▄▅▆▇█") for row in rows).split())


async def test_a_long_notice_is_wrapped_and_the_end_stays_in_view(open_tui: Open) -> None:
    async with open_tui(size=(80, 24)) as desk:
        await desk.ready()
        for number in range(6):
            await desk.say(f"message {number}")
        assert "Hello, world." in desk.rows[-7]
        desk.screen.show_notice("error", LONG)
        await desk.until(lambda: f"✗ {LONG}" in shown(desk))
        assert desk.screen.transcript.follow
        assert "more below" not in desk.text
        desk.screen.show_notice("info", "short")
        await desk.until(lambda: "· short" in desk.text)
        assert "Hello, world." in desk.rows[-7]


async def test_more_than_three_rows_are_cut_and_whole_among_all_notices(open_tui: Open) -> None:
    async with open_tui(size=(60, 20)) as desk:
        await desk.ready()
        desk.screen.show_notice("warning", LONG + " twice: " + LONG)
        await desk.until(lambda: "…" in desk.text)
        assert "! 1 notice" in desk.rows[0]
        desk.screen.show_notice("info", "another")
        await desk.press("f8")
        await desk.until(lambda: "notices, the last first" in desk.text)
        assert shown(desk).index("another") < shown(desk).index("the engine was")
        assert f"{LONG} twice: {LONG}" in shown(desk)
        await desk.press("escape")
        assert "! 1 notice" not in desk.rows[0]


async def test_a_notice_that_is_repeated_is_shown_as_long_as_the_first(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        line = desk.screen.query_one(NoticeLine)
        for _ in range(2):
            line.post("info", "the same")
        first, second = line.history[-2:]
        line._expire(first)
        assert line.notice is second
        line._expire(second)
        assert line.notice is None


async def test_no_notices_are_no_empty_screen(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.press("f8")
        assert desk.notice == "there are no notices yet"


async def test_a_refusal_is_said_in_the_smallest_terminal(open_tui: Open) -> None:
    async with open_tui(size=(20, 5)) as desk:
        await desk.ready()
        before = desk.screen.transcript.size.height
        await desk.type("/temp hot")
        await desk.press("enter")
        await desk.until(lambda: "✗" in desk.text)
        assert desk.screen.prompt.text == "/temp hot"
        desk.screen.prompt.put("")
        await desk.say("hi")
        assert desk.screen.transcript.size.height == before


async def test_a_value_that_was_set_is_said_as_it_is_written(open_tui: Open) -> None:
    async with open_tui() as desk:
        for typed, said in [("0.50", "0.5"), ("1", "1")]:
            await desk.type(f"/temp {typed}")
            await desk.press("enter")
            await desk.until(lambda said=said: desk.notice == f"temperature {said}")  # type: ignore[misc]
