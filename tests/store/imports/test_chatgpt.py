"""ChatGPT's exports: as the site shows them."""

import json
import random
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptterm.conversation.attribution import generation_summary
from gptterm.conversation.export import to_json
from gptterm.store import History
from gptterm.store.imports.chatgpt import without_marks
from tests.store.chats import check_integrity, state, talk, texts
from tests.store.imports.exports import (
    BRANCHED,
    HIDDEN,
    Entry,
    chatgpt,
    import_json,
    linear,
    message,
    read,
    reader,
)


def test_a_tree() -> None:
    (chat,) = read([BRANCHED])
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


def test_the_order_of_siblings_is_their_parents() -> None:
    raw = json.loads(json.dumps(BRANCHED))
    raw["mapping"]["q1"]["children"] = ["a2", "a1"]
    (chat,) = read(raw)
    assert chat.children("q1") == ("a2", "a1")
    assert chat.selected_child("q1") == "a1"


def test_a_greeting_and_a_circle() -> None:
    found = chatgpt(
        "q",
        hi=(None, message("assistant", "Hello!")),
        q=("hi", message("user", "Hi")),
        loop=("pool", message("user", "never")),
        pool=("loop", message("user", "never")),
    )
    (chat,) = read(found)
    assert texts(chat) == ["", "Hello!", "Hi"]


def test_saved_and_imported_again(history: History, tmp_path: Path) -> None:
    assert import_json(history, tmp_path, [BRANCHED]).chats == {"new": 1}
    assert import_json(history, tmp_path, [BRANCHED]).chats == {"unchanged": 1}
    (summary,) = history.conversations()
    assert (summary.turns, summary.title, summary.model) == (5, "A <b>title</b>\x1b[2J", "gpt-4o")
    assert state(history.load("abc")) == state(*read([BRANCHED]))
    assert history.search("cat")


# ----------------------------------------------------------------------- what the site shows


@pytest.mark.parametrize("mark", [*HIDDEN, "is_visually_hidden_from_conversation"])
def test_hidden_messages(mark: str) -> None:
    hidden: dict[str, Any] = {"metadata": {mark: True}}
    found = chatgpt(
        "a",
        context=(None, {**message("user", kind="user_editable_context"), **hidden}),
        said=("context", message("user", "SECRET", **hidden)),
        q=("said", message("user", "hi")),
        a=("q", message("assistant", "yo")),
    )
    (chat,) = read(found)
    assert texts(chat) == ["hi", "yo"]
    assert chat.first_line == "hi"


def test_what_is_said_to_tools_is_not_the_reply() -> None:
    found = chatgpt(
        "a",
        q=(None, message("user", "draw it")),
        search=("q", message("assistant", 'search("tides")', recipient="browser")),
        found=("search", message("tool", "a page")),
        code=("found", {"author": {"role": "assistant"}, "recipient": "python",
                        "content": {"content_type": "code", "text": "plot()"}}),
        a=("code", message("assistant", "Here.", recipient="all")),
    )  # fmt: skip
    (chat,) = read(found)
    assert texts(chat) == ["draw it", "Here."]


def test_attachments_are_named() -> None:
    files = [
        {"id": "file-1", "name": "moon photo.png", "mimeType": "image/png"},
        {"id": "file-2", "name": "tides.pdf"},
        {"id": "file-3", "name": None},
    ]
    picture = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-1"}
    found = chatgpt(
        "q",
        q=(None, message("user", picture, "Read these", kind="multimodal_text",
                         metadata={"attachments": files})),
    )  # fmt: skip
    (chat,) = read(found)
    assert texts(chat) == [
        "[image: moon photo.png]\n\nRead these\n\n[attachment: tides.pdf]\n[attachment]"
    ]


def test_a_spoken_message() -> None:
    spoken = {"content_type": "audio_transcription", "text": "Hello there"}
    sound = {"content_type": "audio_asset_pointer", "asset_pointer": "sediment://file_1"}
    (chat,) = read(chatgpt("q", q=(None, message("user", spoken, sound, kind="multimodal_text"))))
    assert texts(chat) == ["Hello there"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("It is blue. \ue200cite\ue202turn0search0\ue201", "It is blue."),
        ("It is blue \ue200cite\ue202turn0search0\ue202turn0search3\ue201.", "It is blue."),
        ("Two \ue200cite\ue202a\ue201\ue200cite\ue202b\ue201, three", "Two, three"),
        ("a\ue200cite\ue202x\ue201b", "ab"),
        ("By \ue200entity\ue202[\"people\",\"Ada\",\"pioneer\"]\ue201 herself", "By Ada herself"),
        ("See \ue200url\ue202the docs\ue202turn0\ue201!", "See the docs!"),
        ("\ue203Cited\ue204\ue200cite\ue202x\ue201 text", "Cited text"),
        ("Cut off \ue200cite\ue202turn0sea", "Cut off"),
        ("stray \ue201 and \ue200 no end\nline", "stray  and  no end\nline"),
        ("\ue200entity\ue202[broken\ue201.", "."),
        ("no marks", "no marks"),
    ],
)  # fmt: skip
def test_marks_for_citations(text: str, shown: str) -> None:
    assert without_marks(text) == shown


def test_marks_are_found_in_linear_time() -> None:
    for text in (" " * 300_000 + "\ue200", "\ue200" * 100_000, "\ue200cite\ue201 " * 50_000):
        assert "\ue200" not in without_marks(text)


def test_a_reply_has_its_model_and_is_of_no_engine_here() -> None:
    found = chatgpt(
        "b",
        q=(None, message("user", "hi")),
        a=("q", message("assistant", "one", metadata={"model_slug": "o3"})),
        b=("q", message("assistant", "two")),
    )
    (chat,) = read(found)
    a, b = (chat.node(reply) for reply in chat.children("q"))
    assert (a.model, b.model) == ("o3", "gpt-4o")
    assert (a.local_model, b.local_model) == ("", "")
    assert generation_summary(a.generations) == "o3 · from ChatGPT"


def test_a_reply_in_several_messages_keeps_its_id_when_it_goes_on() -> None:
    parts: dict[str, Entry] = {
        "q": (None, message("user", "hi")),
        "a": ("q", message("assistant", "one")),
    }
    (begun,) = read(chatgpt("a", **parts))
    (longer,) = read(chatgpt("b", **parts, b=("a", message("assistant", "two"))))
    assert begun.path() == longer.path() == ("q", "a")
    assert texts(longer) == ["hi", "one\n\ntwo"]
    split = chatgpt(
        "b", **parts, b=("a", message("assistant", "two")), c=("a", message("assistant", "three"))
    )
    (both,) = read(split)
    assert [both.node(i).text for i in both.children("q")] == ["one\n\ntwo", "one\n\nthree"]
    assert texts(both) == ["hi", "one\n\ntwo"]


# ------------------------------------------------------------------------------- what is odd


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (("metadata",), None),
        (("metadata",), 7),
        (("metadata",), {"attachments": 3, "model_slug": []}),
        (("create_time",), "soon"),
        (("recipient",), None),
        (("recipient",), 5),
        (("status",), []),
        (("content", "content_type"), None),
        (("author",), {"role": "assistant", "name": 3, "metadata": None}),
    ],
    ids=str,
)
def test_what_is_odd_in_a_message_does_not_lose_it(at: tuple[str, ...], value: object) -> None:
    raw = json.loads(json.dumps(linear("user", "assistant", "user")))
    fields = raw["mapping"]["n1"]["message"]
    for name in at[:-1]:
        fields = fields[name]
    fields[at[-1]] = value
    (chat,) = read(raw)
    assert texts(chat) == ["0", "1", "2"]


@pytest.mark.parametrize("parent", [None, 7, "nosuch", {}])
def test_a_lost_parent_is_the_one_that_lists_the_child(parent: object) -> None:
    raw = json.loads(json.dumps(linear("user", "assistant", "user", "assistant")))
    raw["mapping"]["n2"]["parent"] = parent
    (chat,) = read(raw)
    assert texts(chat) == ["0", "1", "2", "3"]


def test_a_first_message_that_is_listed_as_a_child_leads_in_no_circle() -> None:
    raw = json.loads(json.dumps(linear("user", "assistant")))
    raw["mapping"]["n1"]["children"] = ["n0"]
    (chat,) = read(raw)
    assert texts(chat) == ["0", "1"]


@pytest.mark.parametrize("broken", [None, 3, "x", []])
def test_a_message_that_cannot_be_read_is_counted(broken: object) -> None:
    raw = json.loads(json.dumps(linear("user", "assistant", "user", "assistant")))
    raw["mapping"]["n1"]["message"]["content"] = broken
    found, (chat,) = reader([raw])
    assert texts(chat.conversation) == (["0", "x"] if broken == "x" else ["0"]) + ["2", "3"]
    assert found.messages_left_out.counts.total() == (broken != "x")
    assert not found.left_out


def test_one_odd_chat_does_not_lose_the_others() -> None:
    odd: list[Any] = [
        {**BRANCHED, "mapping": None}, {**BRANCHED, "mapping": [1]}, None, 3, "x", [], {}, [[]],
        {**BRANCHED, "title": 7, "create_time": {}, "conversation_id": [], "current_node": 0},
        {"title": "no mapping"}, {**chatgpt("x"), "conversation_id": "empty"},
    ]  # fmt: skip
    good = [linear("user", conversation_id=f"good-{n}") for n in range(len(odd) + 1)]
    mixed: list[Any] = [good[0]]
    for chat, each in zip(good[1:], odd, strict=True):
        mixed += [each, chat]
    found, chats = reader(mixed)
    ids = [chat.conversation.id for chat in chats]
    assert [each for each in ids if each.startswith("good-")] == [
        f"good-{n}" for n in range(len(good))
    ]
    assert len(ids) == len(good) + 1  # the one with odd fields
    assert found.left_out.counts == {
        "it has no messages: mapping is null": 1,
        "it has no messages: mapping is a list": 1,
        "it is empty": 1,
    }
    assert found.unknown.counts.total() == 7


# -------------------------------------------------------------------------------- any tree

_ROLES = st.sampled_from(["user", "assistant", "tool", "system"])


@given(
    st.lists(st.tuples(_ROLES, st.integers(-1, 30), st.text(max_size=3)), max_size=25),
    st.integers(),
)
def test_any_tree_of_theirs_becomes_one_of_ours(
    entries: list[tuple[str, int, str]], seed: int
) -> None:
    names = [f"n{number}" for number in range(len(entries))]
    mapping: dict[str, Entry] = {
        name: (names[parent] if 0 <= parent < len(names) else None, message(role, text))
        for name, (role, parent, text) in zip(names, entries, strict=True)
    }
    current = random.Random(seed).choice(names) if names else ""
    spoken = ""
    for imported in read(chatgpt(current, **mapping)):
        assert read(to_json(imported))
        spoken = "".join(node.text for node in imported.nodes())
    rooted = {name: _is_rooted(name, mapping) for name in names}
    for name, (role, _, text) in zip(names, entries, strict=True):
        if rooted[name] and role in ("user", "assistant") and text.strip():
            shown = text if role == "user" else without_marks(text)
            assert shown.encode("utf-16", "surrogatepass").decode("utf-16", "replace") in spoken


def _is_rooted(name: str, mapping: dict[str, Entry]) -> bool:
    """Whether one comes to a first message from here."""
    seen: set[str] = set()
    at: str | None = name
    while at is not None and at not in seen:
        seen.add(at)
        at = mapping[at][0]
    return at is None


# ------------------------------------------------------------------------------- long ones


def test_thousands_of_turns() -> None:
    (chat,) = read(linear(*["user", "assistant"] * 10_000))
    assert len(chat.path()) == 20_000


def test_a_reply_in_thousands_of_messages() -> None:
    data = json.dumps(linear("user", *["assistant"] * 5000))
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
