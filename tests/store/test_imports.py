"""Conversations from files: ours, ChatGPT's, and what is neither."""

import json
import random
import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.conversation.export import export, to_json
from gptterm.conversation.tree import Conversation
from gptterm.errors import UsageError
from gptterm.store import History, HistoryError
from gptterm.store.imports import Imported, import_file, read, read_file
from tests.store.chats import anything, check_integrity, opened, state, talk, texts


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
    (chat,) = read(json.dumps([BRANCHED]).encode())
    assert chat.title == "A <b>title</b>\x1b[2J"
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
    (chat,) = read(json.dumps(found).encode())
    assert texts(chat) == ["", "Hello!", "Hi"]


def test_kept_and_imported_again(history: History, tmp_path: Path) -> None:
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps([BRANCHED]))
    assert import_file(history, file) == Imported(("abc",), new=1)
    assert import_file(history, file) == Imported(("abc",), new=0)
    (summary,) = history.conversations()
    assert (summary.turns, summary.title) == (5, "A <b>title</b>\x1b[2J")
    assert state(history.load("abc")) == state(*read_file(file))
    assert history.search("cat")


def test_their_zip(tmp_path: Path) -> None:
    file = tmp_path / "export.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("user.json", "{}")
        archive.writestr("conversations-000.json", json.dumps([BRANCHED]))
        archive.writestr("x/conversations-001.json", json.dumps([{**BRANCHED, "id": "b"}]))
    assert len(read_file(file)) == 2


def test_a_zip_that_cannot_be_unpacked(tmp_path: Path) -> None:
    file = tmp_path / "export.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", json.dumps([BRANCHED]) * 9)
    whole = file.read_bytes()
    encrypted = bytearray(whole)
    for header in (b"PK\x03\x04", b"PK\x01\x02"):
        at = whole.index(header) + (6 if header.endswith(b"\x04") else 8)
        encrypted[at] |= 1
    damaged = bytearray(whole)
    damaged[60:90] = bytes(30)
    for data in (encrypted, damaged):
        file.write_bytes(data)
        with pytest.raises(UsageError, match=r"export\.zip: "):
            read_file(file)


@pytest.mark.parametrize("seed", range(3))
def test_ours(history: History, tmp_path: Path, seed: int) -> None:
    chat = anything(seed)
    export(chat, tmp_path / "chat.json")
    (imported,) = read_file(tmp_path / "chat.json")
    assert state(imported) == state(chat)
    assert not imported.has_title
    history.add(imported)
    assert state(history.load(chat.id)) == state(chat)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b"{", b"[1]", b"{}", b"null", b"[]", b'"x"', b'[{"mapping": 3}]',
     b'{"format": "gptterm conversation", "version": 99}', b"PK\x03\x04 no zip",
     b"[" * 200_000 + b"]" * 200_000, b'{"mapping":' * 50_000 + b"}" * 50_000, b"[1" + b"0" * 5000,
     b'{"format": "gptterm conversation", "version": %s}' % (b"[" * 900 + b"]" * 900),
     b'{"format": "gptterm conversation", "version": %s}' % (b"7" * 4000)],
    ids=lambda data: data[:40],
)  # fmt: skip
def test_what_is_neither(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "evil\x1b[2J.json"
    file.write_bytes(data)
    with pytest.raises(UsageError) as raised:
        read_file(file)
    assert "\n" not in str(raised.value)
    assert "\x1b" not in str(raised.value)
    assert len(str(raised.value)) < len(str(file)) + 200


def test_a_chat_in_which_nothing_was_said_is_none(history: History, tmp_path: Path) -> None:
    empty = theirs("a", a=("b", message("user", "in a")), b=("a", message("user", "circle")))
    file = tmp_path / "conversations.json"
    file.write_text(json.dumps([empty, {**BRANCHED, "conversation_id": "other"}]))
    assert import_file(history, file).ids == ("other",)
    file.write_text(json.dumps([empty]))
    with pytest.raises(UsageError, match="no conversation"):
        import_file(history, file)


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
    assert read(to_json(imported).encode())
    spoken = "".join(node.text for node in imported.nodes())
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


# ------------------------------------------------------------------------------- long ones


def linear(*roles: str, **more: Any) -> bytes:
    """One conversation of theirs without a branch."""
    entries = {
        f"n{number}": (f"n{number - 1}" if number else None, message(role, f"{number}"))
        for number, role in enumerate(roles)
    }
    return json.dumps({**theirs(f"n{len(roles) - 1}", **entries), **more}).encode()


def test_thousands_of_turns() -> None:
    (chat,) = read(linear(*["user", "assistant"] * 10_000))
    assert len(chat.path()) == 20_000


def test_a_reply_in_thousands_of_messages() -> None:
    data = linear("user", *["assistant"] * 5000)
    tracemalloc.start()
    try:
        (chat,) = read(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert texts(chat) == ["0", "\n\n".join(map(str, range(1, 5001)))]
    assert peak < 30 * len(data)  # not all that was said before with each of them


def test_a_long_chat_can_be_purged(history: History, path: Path) -> None:
    """SQLite follows references from row to row, but not a thousand of them."""
    (chat,) = read(linear(*["user", "assistant"] * 600))
    history.add(chat)
    history.add(talk("kept", "one"))
    history.purge(chat.id)
    assert [each.title for each in history.conversations()] == ["kept"]
    check_integrity(path)


# ----------------------------------------------------------------------------------- times

NO_TIMES = [
    1e18,
    1e300,
    10**400,
    -1,
    -1e300,
    10**15,
    "soon",
    "nan",
    "-inf",
    "1e999",
    True,
    None,
    [],
    {},
]
TIMES = [(1.7e9, 1.7e9), (1_700_000_000_123, 1_700_000_000.123), ("1700000000", 1.7e9)]


def with_times(form: str, chat: object, *turns: object) -> Conversation:
    """A chat from a file that gives these times."""
    if form == "ours":
        name, raw = "created", json.loads(to_json(talk(*map(str, range(len(turns))))))
        parts = [raw, *raw["nodes"]]
    else:
        roles = ["user", "assistant"] * len(turns)
        name, raw = "create_time", json.loads(linear(*roles[: len(turns)]))
        parts = [raw, *(entry["message"] for entry in raw["mapping"].values())]
    for part, at in zip(parts, [chat, *turns], strict=True):
        part[name] = at
    (found,) = read(json.dumps(raw).encode())
    return found


def times(chat: Conversation) -> list[float]:
    return [chat.created, *(node.created for node in chat.nodes())]


@pytest.mark.parametrize("form", ["ours", "theirs"])
@pytest.mark.parametrize(("given", "expected"), TIMES)
def test_a_time_is_understood(form: str, given: object, expected: float) -> None:
    assert times(with_times(form, given, given)) == [expected, expected]


@pytest.mark.parametrize("form", ["ours", "theirs"])
@pytest.mark.parametrize("wrong", NO_TIMES, ids=str)
def test_what_is_no_time(form: str, wrong: object) -> None:
    """It is that of the turn before, or the first there is, or that of the import."""
    assert times(with_times(form, 10.0, wrong, 20.0, wrong)) == [10, 10, 20, 20]
    assert times(with_times(form, wrong, wrong, 20.0)) == [20, 20, 20]
    begun = time.time()
    for at in times(with_times(form, wrong, wrong)):
        assert begun <= at <= time.time()


def test_undated_turns_imported_again_are_the_same(history: History, tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    raw = json.loads(linear("user", "assistant"))
    for entry in raw["mapping"].values():
        del entry["message"]["create_time"]
    del raw["create_time"], raw["conversation_id"]
    file.write_text(json.dumps(raw))
    ids = import_file(history, file).ids
    assert import_file(history, file) == Imported(ids, new=0)
    assert len(history.load(ids[0])) == 2


@pytest.mark.parametrize("number", [1 << 63, 10**40])
@pytest.mark.parametrize("name", ["seed", "ids"])
def test_numbers_that_no_column_holds(tmp_path: Path, name: str, number: int) -> None:
    """They would stop the writer for good."""
    raw = json.loads(to_json(talk("a", "b")))
    reply = raw["nodes"][1]
    reply["generations"][0]["seed"], reply["ids"] = (
        (number, []) if name == "seed" else (7, [number])
    )
    file = tmp_path / "chat.json"
    file.write_text(json.dumps(raw))
    with pytest.raises(UsageError, match=name):
        read_file(file)


# ------------------------------------------------------------------------- what is there already


def test_what_came_of_it_in_words() -> None:
    assert str(Imported(("a",), 1)) == "imported 1 chat"
    assert str(Imported(("a", "b"), 2)) == "imported 2 chats"
    assert str(Imported(("a", "b"), 1)) == "imported 1 chat, 1 was here already"
    assert str(Imported(("a",) * 12, 2)) == "imported 2 chats, 10 were here already"
    assert str(Imported(("a",), 0)) == "nothing is new: 1 chat was here already"
    assert str(Imported(("a", "b"), 0)) == "nothing is new: 2 chats were here already"


def test_a_title_comes_back(history: History, tmp_path: Path) -> None:
    chat = talk("first line", "b")
    history.add(chat)
    history.rename(chat.id, "A name")
    file = tmp_path / "chat.json"
    export(history.load(chat.id), file)
    history.purge(chat.id)

    assert import_file(history, file).new == 1
    assert [(each.title, each.titled) for each in history.conversations()] == [("A name", True)]
    history.rename(chat.id, None)
    assert history.conversations()[0].title == "first line"
    # What it is called here now is what is wanted.
    history.rename(chat.id, "Another name")
    assert import_file(history, file).new == 0
    assert history.load(chat.id).title == "Another name"


def test_what_was_deleted_is_brought_back(history: History, tmp_path: Path) -> None:
    chat = talk("a", "b")
    history.add(chat)
    export(chat, tmp_path / "chat.json")
    history.delete(chat.id)
    assert import_file(history, tmp_path / "chat.json").new == 1
    assert texts(history.load(chat.id)) == ["a", "b"]


def test_a_chat_that_has_gone_on_there(history: History, tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    file.write_bytes(linear("user", "assistant"))
    import_file(history, file)
    file.write_bytes(linear("user", "assistant", "user"))
    assert import_file(history, file).new == 1
    assert texts(history.load("abc")) == ["0", "1", "2"]


def test_what_cannot_be_kept_is_an_error(
    history: History, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.add(talk("a", "b"))
    export(talk("c", "d"), tmp_path / "chat.json")
    monkeypatch.setattr("gptterm.store.database.BUSY_S", 0.0)
    with opened(path) as other, History.open(path) as ours:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HistoryError, match="in use"):
            import_file(ours, tmp_path / "chat.json")
        other.execute("COMMIT")
