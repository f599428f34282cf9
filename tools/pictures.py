"""Draw the pictures of README and docs: the real app and commands, on the bundled model.

    python -m tools.pictures [DIRECTORY]

Writes what the app shows (chat.svg, tints.svg, inspect.svg, write.svg) and what the commands draw
into DIRECTORY (by default assets/). The reply is the same every time, since the seed is fixed; only
the rates in the status line differ.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from gptterm.config import load_settings
from gptterm.tui.app import GpttermApp
from gptterm.tui.screens.inspect import InspectScreen

SIZE = (116, 34)
ASKED = "Tell me a story about a fox and a lantern."
PATIENCE_S = 120
WALKED = 18
"""The token of the reply that is looked at, from 1."""
FURTHER = 7
"""Tokens from there to a name that was said before: heads look at what followed it."""
TEXT = (
    "Once upon a time there was a little fox. One day the fox found a lantern by the river. "
    "The lantern hummed a theorem, and the little fox was very happy.\n"
)
"""A story as the model tells them, but for one sentence."""
BEGUN = "Once upon a time there was a fox who found a lantern. It was old, and"
COPIED = ["Once upon a time there was a little fox. The fox found a lantern. The little"]
"""A text that goes on with a word said before."""


async def draw_app(directory: Path) -> list[Path]:
    """Ask the bundled model for a story and save the screen: the chat, tinted, looked into."""
    # No settings and no chats of whoever draws it.
    with TemporaryDirectory() as home, patch.dict(os.environ, GPTTERM_HOME=home):
        return await _draw(directory)


async def _draw(directory: Path) -> list[Path]:
    settings = load_settings({"model": "tiny", "seed": 7, "offline": True})
    app = GpttermApp(settings, ASKED)
    paths = []

    async def until(condition: Callable[[], object]) -> None:
        while not condition():
            await pilot.pause(0.1)
        await pilot.pause(0.5)  # what is asked of the model then, and drawn

    def save(name: str) -> None:
        app.save_screenshot(name, str(directory))
        paths.append(directory / name)

    async with app.run_test(size=SIZE) as pilot, asyncio.timeout(PATIENCE_S):
        controller = app.controller
        await until(lambda: controller.reply is not None and controller.replying is None)
        save("chat.svg")
        await pilot.press("ctrl+l", "t", *["right"] * WALKED)
        await until(lambda: controller.tokens.walked is not None and controller.tokens.is_read)
        save("tints.svg")
        await pilot.press("f4", "3")
        screen = app.inspect_screen
        assert isinstance(screen, InspectScreen)
        await until(lambda: screen.inspecting.found.attention is not None)
        await pilot.press(*["right"] * FURTHER)
        await until(lambda: screen.inspecting.found.attention is not None)
        await pilot.press("k")
        await until(lambda: screen.inspecting.head is not None)
        save("inspect.svg")
    return paths


async def draw_writing(directory: Path) -> list[Path]:
    """Write with the bundled model and save the screen: branches, tints, alternatives."""
    with TemporaryDirectory() as home, patch.dict(os.environ, GPTTERM_HOME=home):
        return await _draw_writing(directory)


async def _draw_writing(directory: Path) -> list[Path]:
    settings = load_settings({"model": "tiny", "seed": 7, "offline": True, "max_tokens": 48})
    app = GpttermApp(settings, write=True)
    async with app.run_test(size=SIZE) as pilot, asyncio.timeout(PATIENCE_S):

        async def until(condition: Callable[[], object]) -> None:
            while not condition():
                await pilot.pause(0.1)
            await pilot.pause(0.5)

        await until(lambda: app.write_screen is not None and app.write_screen.writing.opened)
        screen = app.write_screen
        assert screen is not None
        writing = screen.writing
        await until(lambda: app.controller.engine.ready)
        screen.area.insert(BEGUN)
        await pilot.press("escape", "4", "g")
        await until(lambda: writing.document.current and not writing.streaming)
        await pilot.press("r", "down", "ctrl+t")
        tokens, length = writing.text_tokens, len(BEGUN)
        await until(lambda: tokens.at(length) is not None and tokens.bits(0, length)[1])
        await pilot.press("enter", "ctrl+l")
        edit = writing.document.edit(writing.document.current or "")
        least = min(range(1, len(edit.logprobs)), key=lambda number: edit.logprobs[number])
        place = edit.start + edit.token_ends()[least - 1] + 1
        screen.area.go_to(place)
        await until(lambda: screen.panes.alternatives.walked == tokens.at(place))
        app.save_screenshot("write.svg", str(directory))
    return [directory / "write.svg"]


def draw_commands(directory: Path) -> list[Path]:
    """Draw what the commands that look into a model draw."""
    commands = {
        "score.svg": ["score", "--alternatives", "3"],
        "compare.svg": ["score", "--compare-dtype", "int8"],
        "attention.svg": ["inspect", "--view", "attention", *COPIED],
        "map.svg": ["inspect", "--view", "map", "--head", "2.1", *COPIED],
        "lens.svg": ["inspect", "--view", "lens", *COPIED],
        "next.svg": ["inspect", "--view", "next", "--top-p", "0.5", "Once upon a time there was a"],
    }
    paths = []
    with TemporaryDirectory() as home:
        for name, arguments in commands.items():
            subprocess.run(
                [sys.executable, "-m", "gptterm", *arguments, "-m", "tiny", "--svg",
                 str(directory / name)],
                input=TEXT.encode(), env={**os.environ, "GPTTERM_HOME": home}, check=True,
                stdout=subprocess.DEVNULL,
            )  # fmt: skip
            paths.append(directory / name)
    return paths


def main() -> None:
    """Draw the pictures into the directory given on the command line."""
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "assets")
    directory.mkdir(parents=True, exist_ok=True)
    drawn = [*asyncio.run(draw_app(directory)), *asyncio.run(draw_writing(directory))]
    print(*drawn, *draw_commands(directory), sep="\n")


if __name__ == "__main__":
    main()
