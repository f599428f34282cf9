"""The TUI for `benchmarks.tui`, with a scripted engine and a chat.

    python -m benchmarks.tui_app DIRECTORY RATE CHARACTERS

Arguments: a directory for the script, tokens per second, characters of the transcript (0: none).
"""

import sys
from collections.abc import Callable
from pathlib import Path

from gptterm.config import Settings, load_settings
from gptterm.conversation.nodes import Generation
from gptterm.engine.api import ModelSource
from gptterm.engine.ipc.client import EngineClient
from gptterm.tui.app import GpttermApp
from gptterm.tui.state.chat import Chat
from gptterm.tui.stderr_guard import stderr_to
from tests.support.scripted import FACTORY, Script, write_script

TURN = "The moon is the only natural satellite of the Earth, and it moves the seas. "
TURNS = 2000


def long_chat(characters: int) -> Chat:
    """A chat of 2,000 turns with `characters` characters."""
    chat = Chat()
    text = (TURN * (characters // TURNS // len(TURN) + 1))[: characters // TURNS]
    for _ in range(TURNS // 2):
        reply = chat.tree.begin_reply(chat.tree.add_user(text), Generation(model="scripted"))
        chat.tree.append(reply, text)
        chat.tree.finish(reply, "eos")
    return chat


def main() -> None:
    """Run the TUI."""
    directory, rate, characters = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    script = Script.saying(" word" * 50, rate=rate, endless=True, has_chat_template=False)
    request = write_script(Path(directory), script, "scripted")

    async def find(_settings: Settings, _report: Callable[[str], None]) -> ModelSource:
        return request.source

    log = Path(directory, "engine.log")
    with stderr_to(Path(directory, "tui.log")):
        client = EngineClient(factory=FACTORY, log=log)
        settings = load_settings({"max_tokens": 10**9, "save": False})
        app = GpttermApp(settings, None, client, find)
        if characters:
            chat_list = app.controller.chat_list
            chat_list.chats = [long_chat(characters)]
            chat_list.current = chat_list.chats[0]
        app.run()


if __name__ == "__main__":
    main()
