"""A front end in a process of its own, to be killed: it keeps chats and tells what it has shown.

    python -m tests.store.process stream FILE FOLDER    chats with an engine until it is killed
    python -m tests.store.process write FILE NAME N S   writes N chats, or for S seconds

Lines on stdout: `engine PID`, `user TEXT` once a message is on the disk, `token TIME` (of the
monotonic clock, which all processes share) once a token is shown, `end TIME`.
"""

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path

from gptterm.conversation.tree import Conversation
from gptterm.engine.api import Token
from gptterm.engine.ipc.client import EngineClient
from gptterm.errors import GpttermError
from gptterm.store import History
from tests.store.chats import answer, planned
from tests.support.ipc_engines import new_client
from tests.support.scripted import Script, write_script

RATE = 400.0
"""Tokens a second."""
WORDS = [f" w{number}" for number in range(150)]
"""Text of every reply."""


def say(line: str) -> None:
    """A line that is out even if this process is killed right after."""
    os.write(1, f"{line}\n".encode())


async def stream(path: Path, folder: Path) -> None:
    """Chat; a dead engine is started again."""
    script = Script.saying(list(WORDS), rate=RATE)
    request = write_script(folder, script)
    with History.open(path, lambda notice: say(f"notice {notice}")) as history:
        async with new_client(folder) as client:
            number = 0
            while True:
                with contextlib.suppress(GpttermError):
                    await client.load(request)
                    say(f"engine {client.pid}")
                    await _chat(history, client, number)
                number += 1


async def _chat(history: History, client: EngineClient, number: int) -> None:
    from tests.support.ipc_engines import request

    saver = history.saver(Conversation(f"chat {number}"))
    chat = saver.chat
    while client.alive:
        text = f"user {chat.id} {len(chat)}"
        user = chat.add_user(text)
        assert saver.commit(60)
        say(text)
        reply = chat.begin_reply(user, planned())
        async for event in client.generate(request()):
            saver.apply_event(reply, event)
            if isinstance(event, Token):
                say(f"token {time.monotonic()}")
        chat.finish(reply, "error")
        assert saver.commit(60)
        say(f"end {time.monotonic()}")


def write(path: Path, name: str, chats: int, seconds: float) -> None:
    """Write chats, as many as there is time for but at least so many; some in one of all."""
    with History.open(path, lambda notice: say(f"notice {notice}")) as history:
        until = time.monotonic() + seconds
        number = 0
        while number < chats or time.monotonic() < until:
            chat = Conversation(id="shared" if number % 3 == 0 else None, created=1.0)
            if number % 3 == 0 and history.find("shared").chats:
                chat = history.load("shared")
            saver = history.saver(chat)
            reply = answer(saver, f"{name} asks {number}", f"{name} is told {number}")
            assert saver.commit(60)
            say(f"{name} asks {number}")
            assert isinstance(chat.node(reply).generations[-1].reason, str)
            history.set_draft(f"draft {number}", name)
            number += 1


def main() -> None:
    match sys.argv[1:]:
        case ["stream", path, folder]:
            asyncio.run(stream(Path(path), Path(folder)))
        case ["write", path, name, chats, seconds]:
            write(Path(path), name, int(chats), float(seconds))


if __name__ == "__main__":
    main()
