"""Every export with every part of it damaged: no error, and the good rest is there."""

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gptterm.store import History
from gptterm.store.imports.reading import DocumentReader
from gptterm.terminal import one_line
from tests.store.chats import check_integrity, texts
from tests.store.imports.exports import (
    CLAUDE,
    EXPORTS,
    LM_STUDIO,
    OLLAMA,
    OPEN_WEBUI,
    OPENAI,
    SHAREGPT,
    import_into,
    linear,
    reader,
)

Path_ = tuple[str | int, ...]
DELETED = object()
DAMAGE: tuple[object, ...] = (
    None, 7, -1e300, True, "x", "", "\ud800\x1b[2J", [], {}, [None, 3, "x", {}], {"x": None},
    DELETED,
)  # fmt: skip

MESSAGES: dict[str, tuple[Any, Path_]] = {
    "chatgpt": (linear(*["user", "assistant"] * 3), ("mapping",)),
    "claude": (CLAUDE, ("chat_messages",)),
    "openwebui": (OPEN_WEBUI, ("chat", "history", "messages")),
    "lmstudio": (LM_STUDIO, ("messages",)),
    "sharegpt": (SHAREGPT, ("conversations",)),
    "openai": (OPENAI, ("messages",)),
    "ollama": (OLLAMA, ("messages",)),
}
"""Chats, and where their messages are."""


def paths(item: Any, at: Path_ = ()) -> Iterator[Path_]:
    """The ways to all parts of a value."""
    yield at
    if isinstance(item, list):
        item = dict(enumerate(item))
    for name, part in item.items() if isinstance(item, dict) else ():
        yield from paths(part, (*at, name))


def damaged(item: Any, at: Path_, damage: object) -> Any:
    """A copy with another value there."""
    if not at:
        return None if damage is DELETED else damage
    found = copy.deepcopy(item)
    inner = found
    for name in at[:-1]:
        inner = inner[name]
    if damage is DELETED:
        del inner[at[-1]]
    else:
        inner[at[-1]] = damage
    return found


def check(data: object) -> tuple[DocumentReader, list[str]]:
    """Read it; return the reader and all that is said in the chats, all branches."""
    found, chats = reader(data)
    for reason, example in (*found.left_out.examples.items(), *found.unknown.examples.items()):
        # The last resort, which nothing known leads to.
        assert not reason.startswith("unreadable ("), (reason, data)
        assert (one_line(reason), one_line(example)) == (reason, example)
    return found, [node.text for chat in chats for node in chat.conversation.nodes() if node.text]


@pytest.mark.parametrize("name", EXPORTS)
def test_any_part_of_an_export(name: str) -> None:
    """Between two good chats, which are there whatever it has become."""
    raw = EXPORTS[name]
    chats = raw if isinstance(raw, list) and name != "openai-list" else [raw]
    first = linear("user", conversation_id="first", title="First")
    last = linear("user", conversation_id="last", title="Last")
    for at in paths(chats):
        if not at:
            continue
        for damage in DAMAGE:
            odd = damaged(chats, at, damage)
            found, chats_read = reader([first, *odd, last])
            ids = [chat.conversation.id for chat in chats_read]
            assert (ids[0], "last" in ids) == ("first", True), (at, damage)
            reasons = (*found.left_out.counts, *found.unknown.counts)
            assert not any(reason.startswith("unreadable (") for reason in reasons)


@pytest.mark.parametrize("name", MESSAGES)
def test_any_part_of_a_message(name: str) -> None:
    """The other messages are there."""
    raw, where = MESSAGES[name]
    messages = raw
    for part in where:
        messages = messages[part]
    for at in paths(messages):
        if not at:
            continue
        _, without = check(damaged(raw, (*where, at[0]), DELETED))
        others = "\n\n".join(without).split("\n\n")
        for damage in DAMAGE:
            _, with_damage = check(damaged(raw, (*where, *at), damage))
            spoken = "\n\n".join(with_damage).split("\n\n")
            assert [text for text in others if text not in spoken] == [], (at, damage)


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_that_was_cut_off(name: str) -> None:
    """The chats before it are there."""
    good = linear("user", "assistant", conversation_id="good")
    data = json.dumps([good, *([EXPORTS[name]] * 2)]).encode()
    begin = len(json.dumps([good])) - 1
    for end in range(begin, len(data), 7):
        _, spoken = check(data[:end])
        assert spoken[:2] == ["0", "1"]
    lines = b"\n".join(json.dumps(each).encode() for each in (good, EXPORTS[name], good))
    for end in range(begin, len(lines) - begin, 7):
        # The rest of a line is missing, not what follows it.
        cut = lines[:end].split(b"\n")
        _, spoken = check(b"\n".join([*cut, json.dumps(good).encode()]))
        assert spoken[:2] == ["0", "1"]
        assert spoken.count("1") == 2, cut


def bytes_changed(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(dice.randrange(1, 4)):
        at = dice.randrange(len(changed))
        match dice.randrange(4):
            case 0:
                changed[at] = dice.randrange(256)
            case 1:
                del changed[at : at + dice.randrange(1, 20)]
            case 2:
                changed[at:at] = dice.randbytes(dice.randrange(1, 4))
            case _:
                changed[at:at] = dice.choice(b'{}[]",:\\\n').to_bytes()
        changed = changed or bytearray(b" ")
    return bytes(changed)


@pytest.mark.parametrize("name", EXPORTS)
def test_any_bytes_changed(name: str) -> None:
    dice = random.Random(7)
    data = json.dumps([EXPORTS[name]]).encode()
    for _ in range(150):
        check(bytes_changed(data, dice))


@pytest.mark.parametrize("name", EXPORTS)
def test_what_is_odd_can_be_saved(history: History, path: Path, tmp_path: Path, name: str) -> None:
    """And comes back, and is not saved a second time."""
    save_damaged(history, path, tmp_path, name, random.Random(11), 40)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("seed", range(10))
def test_much_that_is_odd(
    history: History, path: Path, tmp_path: Path, name: str, seed: int
) -> None:
    dice = random.Random(f"{seed} {name}")
    data = json.dumps([EXPORTS[name]]).encode()
    for _ in range(5000):
        check(bytes_changed(data, dice))
    save_damaged(history, path, tmp_path, name, dice, 400)


def save_damaged(
    history: History, path: Path, folder: Path, name: str, dice: random.Random, times: int
) -> None:
    """Import damaged exports, each of them twice."""
    ways = [at for at in paths(EXPORTS[name]) if at]
    odd = EXPORTS[name]
    file = folder / "odd.json"
    for _ in range(times):
        odd = damaged(EXPORTS[name], dice.choice(ways), dice.choice(DAMAGE))
        ways_of_odd = [at for at in paths(odd) if at]
        odd = damaged(odd, dice.choice(ways_of_odd), dice.choice(DAMAGE)) if ways_of_odd else odd
        file.write_text(json.dumps([odd, linear("user", conversation_id="good")]))
        report = import_into(history, file)
        assert "good" in report.ids
        again = import_into(history, file)
        assert again.chats == {"unchanged": len(report)}, odd
    for summary in history.conversations():
        assert texts(history.load(summary.id))
    check_integrity(path)
