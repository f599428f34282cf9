"""Search over all chats, and its highlights in the transcript."""

from pathlib import Path

import pytest
from textual.widgets import Input

from gptterm.store import History
from tests.store.chats import talk
from tests.support.scripted import Script
from tests.tui.conftest import Desk, Open
from tests.tui.saved import fill


async def test_search_finds_and_jumps(open_tui: Open, path: Path) -> None:
    branched = talk("About the moon", "It is round.", "And?", "It has phases.")
    reply = branched.path()[1]
    branched.edit(branched.path()[2], "Something else about Größe")
    fill(path, branched, talk("other", "nothing here"))
    async with open_tui() as desk:
        await desk.ready()
        await desk.press("ctrl+f")
        await desk.type("phases")
        await desk.until(lambda: "1 hit" in desk.text and "It has phases." in desk.text)
        await desk.press("enter")
        await desk.until(lambda: desk.turns[:1] == [("user", "About the moon")])
        await desk.until(lambda: desk.screen.transcript.selected_turn)
        turn = desk.screen.transcript.selected_turn
        assert turn is not None
        assert desk.controller.chat.tree.node(turn.key).text == "It has phases."
        assert reply in desk.controller.chat.tree.path()
        await desk.press("ctrl+f")
        await desk.type("nowhere")
        await desk.until(lambda: "nothing found" in desk.text)
        await desk.press("escape")
        assert desk.app.screen is desk.screen


async def test_hostile_titles_and_hits(open_tui: Open, path: Path) -> None:
    chat = talk("title \x1b]0;x\x07 \u202e[red]", "find \x1b[31m me \x9b2J \u202e", model="\x1b[1m")
    fill(path, chat)
    async with open_tui() as desk:
        await desk.ready()
        for keys in (("ctrl+b", "ctrl+b"), ("r",), ("escape", "ctrl+f")):
            await desk.press(*keys)
            assert not any((ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 for c in desk.text)
            assert "\u202e" not in desk.text
        await desk.type("find")
        await desk.until(lambda: "1 hit" in desk.text)
        assert not any((ord(c) < 32 and c != "\n") or 0x7F <= ord(c) < 0xA0 for c in desk.text)
        assert "\u202e" not in desk.text


def marked(desk: Desk) -> list[str]:
    """The words that are marked in the transcript in view."""
    words = []
    for strip in desk.app.screen._compositor.render_strips()[1:-5]:
        for segment in strip:
            if segment.style is not None and segment.style.reverse and segment.style.bold:
                words.append(segment.text)  # noqa: PERF401
    return words


async def test_what_was_found_is_marked_and_scrolled_to(open_tui: Open, path: Path) -> None:
    long = "\n\n".join(f"paragraph {n} of many words" for n in range(24))
    needle = f"{long}\n\nthe **Needle** is\nhere\n\n{long[:300]}"
    fill(path, talk("where?", needle, "and a needle", "no"), talk("other", "nothing"))
    async with open_tui(Script.saying("x", has_chat_template=True)) as desk:
        await desk.ready()
        await desk.press("ctrl+f")
        desk.app.screen.query_one(Input).value = '"needle is here"'
        await desk.until(lambda: "1 hit" in desk.text)
        await desk.press("enter")
        await desk.until(lambda: desk.turns[0][1] == "where?" and "Needle is" in desk.text)
        assert "".join(marked(desk)).replace("is here", "ishere") == "Needle ishere"
        # In all turns of the chat, and after it is laid out anew.
        await desk.press("ctrl+f")
        await desk.type("need")
        await desk.until(lambda: "2 hits" in desk.text)
        await desk.press("enter")
        await desk.until(lambda: marked(desk)[-1:] == ["need"])
        await desk.press("ctrl+l", "shift+left", "shift+right", "up", "up")
        await desk.press("escape")
        assert marked(desk) == []


@pytest.mark.parametrize("keys", [("escape",), ("f2", "x"), ("ctrl+f", "escape"), ("ctrl+n",)])
async def test_marks_go_when_the_search_is_over(
    open_tui: Open, path: Path, keys: tuple[str, ...]
) -> None:
    chat = talk("a needle", "yes")
    fill(path, chat)
    with History.open(path) as history:
        history.set_draft("a draft", chat.id)
    async with open_tui() as desk:
        await desk.ready()
        await desk.press("ctrl+n")
        await desk.press("ctrl+f")
        await desk.type("needle")
        await desk.until(lambda: "1 hit" in desk.text)
        await desk.press("enter")
        await desk.until(lambda: marked(desk) == ["needle"])
        assert desk.screen.prompt.text == "a draft"
        await desk.press(*keys)
        await desk.until(lambda: marked(desk) == [])
