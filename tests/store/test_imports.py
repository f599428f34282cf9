"""Conversations from files: ours, ChatGPT's, and what is neither."""

import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.conversation.export import export, to_json
from gptterm.errors import UsageError
from gptterm.store import History
from gptterm.store.imports import read, read_file
from tests.store.chats import anything, state, texts


def message(role: str, *parts: object, kind: str = "text", **more: Any) -> dict[str, Any]:
    content = {"content_type": kind, "parts": list(parts)}
    return {"author": {"role": role}, "content": content, "create_time": 5.0, **more}


def theirs(current: str, **entries: tuple[str | None, dict[str, Any] | None]) -> dict[str, Any]:
    """One conversation as they export it: id = (parent, message)."""
    mapping: dict[str, Any] = {
        name: {"id": name, "parent": parent, "children": [], "message": said}
        for name, (parent, said) in entries.items()
    }
    return {
        "title": "A <b>title</b>\x1b[2J", "create_time": 3.5, "update_time": 9.0,
        "mapping": mapping, "current_node": current, "conversation_id": "abc", "plugin_ids": None,
    }  # fmt: skip


HIDDEN = {"is_visually_hidden_from_user_message": True}
BRANCHED = theirs(
    "a3",
    root=(None, None),
    sys=("root", message("system", "")),
    hidden=("sys", message("user", "about me", metadata=HIDDEN)),
    q1=("hidden", message("user", "first question")),
    a1=("q1", message("assistant", "first answer")),
    a2=("q1", message("assistant", "another answer")),
    q2=("a1", message("user", {"content_type": "image_asset_pointer"}, "what is it?",
                      kind="multimodal_text")),
    think=("q2", message("assistant", kind="thoughts")),
    call=("think", {"author": {"role": "assistant"},
                    "content": {"content_type": "code", "text": "look()"}}),
    tool=("call", message("tool", "a cat")),
    a3=("tool", message("assistant", "A cat.")),
)  # fmt: skip


def test_a_tree_of_theirs() -> None:
    (found,) = read(json.dumps([BRANCHED]).encode())
    chat = found.chat
    assert found.title == "A <b>title</b>\x1b[2J"
    assert (chat.id, chat.created) == ("abc", 3.5)
    assert texts(chat) == [
        "first question",
        "first answer",
        "[image]\n\nwhat is it?",
        "```\nlook()\n```\n\nA cat.",
    ]
    assert [chat.node(i).text for i in chat.children("q1")] == ["first answer", "another answer"]
    assert len(chat) == 5
    assert {node.created for node in chat.nodes()} == {5.0}


def test_a_greeting_and_a_circle() -> None:
    found = theirs(
        "q",
        hi=(None, message("assistant", "Hello!")),
        q=("hi", message("user", "Hi")),
        loop=("pool", message("user", "never")),
        pool=("loop", message("user", "never")),
    )
    (imported,) = read(json.dumps(found).encode())
    assert texts(imported.chat) == ["", "Hello!", "Hi"]


def test_kept_and_imported_again(history: History, tmp_path: Path) -> None:
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps([BRANCHED]))
    for _ in range(2):
        (imported,) = read_file(file)
        history.add(imported.chat, imported.title)
    (summary,) = history.conversations()
    assert (summary.turns, summary.title) == (5, "A <b>title</b>\x1b[2J")
    assert state(history.load("abc")) == state(imported.chat)
    assert history.search("cat")


def test_their_zip(tmp_path: Path) -> None:
    file = tmp_path / "export.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("user.json", "{}")
        archive.writestr("conversations-000.json", json.dumps([BRANCHED]))
        archive.writestr("x/conversations-001.json", json.dumps([{**BRANCHED, "id": "b"}]))
    assert len(read_file(file)) == 2


@pytest.mark.parametrize("seed", range(3))
def test_ours(history: History, tmp_path: Path, seed: int) -> None:
    chat = anything(seed)
    export(chat, tmp_path / "chat.json")
    (imported,) = read_file(tmp_path / "chat.json")
    assert state(imported.chat) == state(chat)
    assert imported.title is None
    history.add(imported.chat)
    assert state(history.load(chat.id)) == state(chat)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"{", b"[1]", b"{}", b"null", b"[]", b'"x"', b'[{"mapping": 3}]',
     b'{"format": "gptterm conversation", "version": 99}', b"PK\x03\x04 no zip"],
)  # fmt: skip
def test_what_is_neither(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "evil\x1b[2J.json"
    file.write_bytes(data)
    with pytest.raises(UsageError) as raised:
        read_file(file)
    assert "\n" not in str(raised.value)
    assert "\x1b" not in str(raised.value)


def test_what_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nosuch.json"):
        with pytest.raises(UsageError, match="cannot read"):
            read_file(path)


_ROLES = st.sampled_from(["user", "assistant", "tool", "system"])


@given(
    st.lists(st.tuples(_ROLES, st.integers(-1, 30), st.text(max_size=3)), max_size=25),
    st.integers(),
)
def test_any_tree_of_theirs_becomes_one_of_ours(
    entries: list[tuple[str, int, str]], seed: int
) -> None:
    names = [f"n{number}" for number in range(len(entries))]
    mapping = {
        name: (names[parent] if 0 <= parent < len(names) else None, message(role, text))
        for name, (role, parent, text) in zip(names, entries, strict=True)
    }
    current = random.Random(seed).choice(names) if names else ""
    (imported,) = read(json.dumps(theirs(current, **mapping)).encode())
    assert read(to_json(imported.chat).encode())
    spoken = "".join(node.text for node in imported.chat.nodes())
    depth = {name: _depth(name, mapping) for name in names}
    for name, (role, _, text) in zip(names, entries, strict=True):
        if depth[name] and role in ("user", "assistant") and text.strip():
            assert text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") in spoken


def _depth(name: str, mapping: dict[str, Any]) -> bool:
    """Whether one comes to a first message from here."""
    seen: set[str] = set()
    at: str | None = name
    while at is not None and at not in seen:
        seen.add(at)
        at = mapping[at][0]
    return at is None
