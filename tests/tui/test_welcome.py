"""The first screen: the model's card, starters, the last chats, models to fetch."""

import re
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from gptterm.store import History
from gptterm.tui.screens.welcome import BEGINNINGS, STARTERS
from tests.store.chats import talk
from tests.support import checkpoint
from tests.support.hub import Repository, serving
from tests.support.scripted import Script
from tests.tui.conftest import Open
from tests.tui.saved import fill
from tests.tui.terminal import Terminal


async def test_enter_in_the_empty_prompt_takes_the_first(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        assert f"▸ {STARTERS[0]}" in desk.text
        await desk.press("enter")
        await desk.until(lambda: desk.idle and len(desk.turns) == 2)
        assert desk.turns[0] == ("user", STARTERS[0])
        # In a chat with turns it does nothing.
        await desk.press("enter", "down", "enter")
        assert len(desk.turns) == 2


async def test_down_and_up_choose(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        await desk.press("down", "down", "up")
        assert f"▸ {STARTERS[1]}" in desk.text
        await desk.press("up", "up")
        assert f"▸ {STARTERS[0]}" in desk.text
        await desk.press(*["down"] * 9)
        assert f"▸ {STARTERS[-1]}" in desk.text


async def test_a_base_model_gets_texts_to_go_on_with(open_tui: Open) -> None:
    async with open_tui(Script.saying("x", has_chat_template=False)) as desk:
        await desk.ready()
        assert all(text in desk.text for text in BEGINNINGS)
        assert "gpt2 is a base model: it continues text" in desk.text


async def test_the_last_chats_are_opened(open_tui: Open, path: Path) -> None:
    texts = [*(f"question {n}" for n in range(4)), "漢字 and a question whose words do not all fit"]
    fill(path, *(talk(text, "x", model="gpt2") for text in texts))
    async with open_tui(size=(90, 30)) as desk:
        await desk.ready()
        await desk.until(lambda: "漢字 and a question whose words do not all… " in desk.text)
        assert [n for n in range(4) if f"question {n}" in desk.text] == [2, 3]
        rows = [row.partition(" today")[0] for row in desk.rows if " today" in row]
        assert len({cell_len(row) for row in rows}) == 1 < len(rows)
        await desk.press(*["down"] * len(STARTERS), "down", "enter")
        await desk.until(lambda: desk.turns[:1] == [("user", "question 3")])


async def test_the_card_has_the_rate_of_the_last_replies(open_tui: Open) -> None:
    async with open_tui(Script.saying("w " * 20)) as desk:
        await desk.say("hi")
        await desk.press("ctrl+n")
        await desk.until(lambda: re.search(r"cpu · float32 · .* tok/s", desk.text))


async def test_the_last_texts_are_opened(open_tui: Open, path: Path, tmp_path: Path) -> None:
    file = tmp_path / "fox.txt"
    with History.open(path) as history:
        for name, where in (("first", ""), ("second", ""), ("third", str(file))):
            saver = history.open_document(where, name)
            saver.document.replace(0, 0, f"the {name} text")
            assert saver.flush()
    async with open_tui(size=(90, 30)) as desk:
        await desk.ready()
        await desk.until(lambda: "last texts" in desk.text and "the first text" in desk.text)
        assert "fox.txt" in desk.text
        for steps, name in ((1, "second"), (0, "third")):
            await desk.press(*["down"] * (len(STARTERS) + steps), "enter")
            await desk.until(lambda name=name: f"the {name} text" in desk.text)  # type: ignore[misc]
            write = desk.app.write_screen
            assert write is not None
            assert write.writing.document.id == name
            await desk.press("f2")


async def test_a_click_takes_a_row(open_tui: Open) -> None:
    async with open_tui() as desk:
        await desk.ready()
        y = next(y for y, row in enumerate(desk.rows) if STARTERS[2] in row)
        await desk.pilot.click(offset=(desk.rows[y].index(STARTERS[2]), y))
        await desk.until(lambda: desk.turns[:1] == [("user", STARTERS[2])])


@pytest.mark.parametrize("size", [(60, 20), (40, 12), (20, 5), (200, 60)])
async def test_it_fits(open_tui: Open, path: Path, size: tuple[int, int]) -> None:
    fill(path, *(talk(f"question {n} " + "long " * 20, "x", model="gpt2") for n in range(5)))
    async with open_tui(size=size) as desk:
        await desk.ready()
        await desk.until(lambda: "ready to" in desk.text)
        assert desk.screen.transcript.max_scroll_y == 0
        if size[1] >= 20:
            assert f"▸ {STARTERS[0]}" in desk.text


def test_a_model_is_fetched_beside_the_bundled_one(tmp_path: Path) -> None:
    with serving() as hub:
        hub.repositories["HuggingFaceTB/SmolLM2-135M-Instruct"] = Repository(
            checkpoint.checkpoint()
        )
        hub.repositories["distilbert/distilgpt2"] = Repository(checkpoint.checkpoint())
        variables = {
            "HF_ENDPOINT": hub.endpoint,
            "HF_HOME": str(tmp_path / "hf"),
            "HOME": str(tmp_path),
        }
        command = [sys.executable, "-m", "gptterm", "-m", "tiny"]
        tty = Terminal(command, 30, 100, tmp_path, **variables)
        try:
            tty.until(lambda: tty.shows("models to fetch") and tty.shows("273 MB"))
            tty.send(b"\x1b[B" * len(STARTERS))
            tty.until(lambda: tty.shows("▸ SmolLM2-135M-Instruct"))
            tty.send(b"\r")
            tty.until(lambda: tty.shows("Message SmolLM2-135M-Instruct, or"))
            tty.until(lambda: not tty.shows("to talk with"))
            # Another one, from the table of models.
            tty.send(b"\x0f")
            tty.until(lambda: tty.shows("on this machine") and tty.shows("to be had"))
            tty.send(b"distil\r")
            tty.until(lambda: tty.shows("Message distilgpt2, or"))
        finally:
            tty.process.terminate(force=True)
