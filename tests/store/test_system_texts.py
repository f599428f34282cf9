"""System texts: kept once, however many replies were written under one."""

from pathlib import Path

import msgspec

from gptterm.conversation.tree import Conversation
from gptterm.store import History
from gptterm.store.recovery import recover
from tests.store.chats import events, opened, planned, state

LONG = "Speak as a sailor. " * 200


def chat_under(system: str, replies: int) -> Conversation:
    """A chat whose replies were written under a system text."""
    chat = Conversation(system=system)
    for number in range(replies):
        run = msgspec.structs.replace(planned(), system=system)
        reply = chat.begin_reply(chat.add_user(f"question {number}"), run)
        for event in events("An answer."):
            chat.apply_event(reply, event)
    return chat


def kept(path: Path) -> list[str]:
    with opened(path) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM texts ORDER BY text")]


def test_a_text_is_kept_once(history: History, path: Path, tmp_path: Path) -> None:
    first, second = chat_under(LONG, 4), chat_under(LONG, 2)
    other = chat_under("\ud800 brief", 1)
    for chat in (first, second, other):
        assert history.saver(chat).commit(60)
    assert kept(path) == [LONG, "\ufffd brief"]
    with opened(path) as connection:
        sizes = [n for (n,) in connection.execute("SELECT length(data) FROM runs")]
    assert max(sizes) < len(LONG)
    loaded = history.load(first.id)
    assert state(loaded) == state(first)
    runs = [run for node in loaded.nodes() for run in node.generations]
    assert len({id(run.system) for run in runs}) == 1
    recover(path, tmp_path / "new.db")
    assert kept(tmp_path / "new.db") == kept(path)
    history.purge(first.id)
    assert kept(path) == [LONG, "\ufffd brief"]
    history.purge(second.id)
    assert kept(path) == ["\ufffd brief"]
    assert LONG.encode() not in path.read_bytes()
