"""Runs the TUI with the scripted engine, for the tests in a real terminal.

    python -m tests.tui.played DIRECTORY [name=value …]

`DIRECTORY` holds the script; `name=value` are settings; `conversation=last` opens the last chat,
`write=on` Write mode, `long=0` makes every reply a long one.
"""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from gptterm.config import Settings, TuiSettings, load_settings
from gptterm.engine.api import ModelSource
from gptterm.engine.ipc.client import EngineClient
from gptterm.tui import attention
from gptterm.tui.app import GpttermApp
from gptterm.tui.stderr_guard import stderr_to
from tests.support.scripted import FACTORY


def main() -> int:
    """Open the TUI until it is quit."""
    directory, *pairs = sys.argv[1:]
    given: dict[str, object] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        given[name] = int(value) if value.isdecimal() else value
    mouse = given.pop("mouse", "on") == "on"
    inline = given.pop("inline", "off") == "on"
    conversation = given.pop("conversation", None)
    write = given.pop("write", "off") == "on"
    attention.LONG_REPLY_S = float(str(given.pop("long", attention.LONG_REPLY_S)))
    settings = load_settings(given)
    settings = msgspec.structs.replace(settings, tui=TuiSettings(mouse=mouse))

    async def find(asked: Settings, _report: Callable[[str], None]) -> ModelSource:
        await asyncio.sleep(0)
        return ModelSource(name=asked.model, directory=directory)

    log = Path(directory, "engine.log")
    with stderr_to(Path(directory, "tui.log")):
        client = EngineClient(factory=FACTORY, log=log)
        chat = None if conversation is None else str(conversation)
        app = GpttermApp(settings, None, client, find, conversation=chat, write=write)
        left = app.run(mouse=mouse, inline=inline)
    return left if isinstance(left, int) else 0


if __name__ == "__main__":
    sys.exit(main())
