"""Every format but ChatGPT's: what comes of an export, and how it is told from the others."""

import json
from pathlib import Path
from typing import Any

import pytest

from gptterm.conversation.export import export, to_json
from gptterm.conversation.tree import Conversation
from gptterm.store import History
from tests.store.chats import anything, said, state, talk, texts
from tests.store.imports.exports import (
    CLAUDE,
    EXPORTS,
    LLM_LOGS,
    LM_STUDIO,
    OLLAMA,
    OPEN_WEBUI,
    OPENAI,
    OURS,
    SHAREGPT,
    import_into,
    read,
    reader,
)


def one(raw: object) -> Conversation:
    (chat,) = read(raw)
    return chat


def replies(chat: Conversation) -> list[tuple[str, str]]:
    """The replies with their models, all branches."""
    return [(node.model, node.text) for node in chat.nodes() if node.role == "assistant"]


def changed(raw: Any, **fields: object) -> Any:
    return {**json.loads(json.dumps(raw)), **fields}


# -------------------------------------------------------------------------------- branches


def test_claude() -> None:
    chat = one([CLAUDE])
    assert (chat.id, chat.title, chat.created) == ("0a1b-claude", "On tides", 1714557600.0)
    assert texts(chat) == [
        "What is in it?\n\n[attachment: tides.txt]\n[attachment: moon.png]", "Water.", "Why?"
    ]  # fmt: skip
    assert replies(chat) == [("", "The sea."), ("", "Water.")]
    assert chat.node("m2").created == 1714557605.0


def test_claude_without_parents_and_without_parts() -> None:
    """As older exports are."""
    raw = changed(CLAUDE, current_leaf_message_uuid=None)
    for message in raw["chat_messages"]:
        del message["content"], message["parent_message_uuid"]
    chat = one(raw)
    assert len(chat.path()) == 3
    assert texts(chat)[1] == "```\nThis block is not supported.\n```\n\nThe sea.\n\nWater."


def test_claude_selects_the_current_leaf() -> None:
    chat = one(changed(CLAUDE, current_leaf_message_uuid="m2", model="claude-opus-4"))
    assert texts(chat)[1:] == ["The sea."]
    assert replies(chat)[0] == ("claude-opus-4", "The sea.")


def test_open_webui() -> None:
    chat = one([OPEN_WEBUI])
    assert (chat.id, chat.title, chat.created) == ("ow-1", "Harbours", 1700000000.0)
    assert chat.system == "Be brief."
    assert texts(chat) == ["Name one\n\n[attachment: map.pdf]", "Bergen", "And this?\n\n[image]"]
    assert replies(chat) == [("llama3", "Oslo"), ("qwen3", "Bergen")]
    assert chat.children("a") == ("b", "c")


def test_open_webui_without_what_the_server_adds() -> None:
    chat = one(OPEN_WEBUI["chat"])
    assert texts(chat)[1] == "Bergen"
    assert chat.id != ""
    assert one(OPEN_WEBUI["chat"]).id == chat.id


def test_open_webui_without_branches() -> None:
    messages = [
        {"id": "a", "role": "user", "content": "hey"},
        {"role": "assistant", "content": "ho"},
    ]
    raw = changed(OPEN_WEBUI, chat={"title": "T", "models": ["m"], "messages": messages})
    assert texts(one([raw])) == ["hey", "ho"]
    assert replies(one([raw])) == [("m", "ho")]


def test_lm_studio() -> None:
    chat = one(LM_STUDIO)
    assert (chat.id, chat.title) == ("lmstudio-1700000000000", "Local chat")
    assert (chat.created, chat.system) == (1700000000.0, "Be kind.")
    assert texts(chat) == ["hi\n\n[attachment: notes.pdf]", "Hello", "and on"]
    assert replies(chat) == [("qwen2.5-7b", "yo"), ("qwen2.5-7b", "Hello")]


# ---------------------------------------------------------------------------------- linear


def test_sharegpt() -> None:
    chat = one([SHAREGPT])
    assert texts(chat) == ["Who are you?", "A model.\n\nI looked."]
    assert chat.system == "You are kind."
    lines = "\n".join(json.dumps({**SHAREGPT, "id": f"n{number}"}) for number in range(3))
    chats = read(lines)
    assert [texts(each) for each in chats] == [texts(chat)] * 3
    assert len({each.id for each in (chat, *chats)}) == 4


def test_openai_messages() -> None:
    chat = one(OPENAI)
    assert texts(chat) == ["What is this?\n\n[image]\n\n[attachment: a.pdf]", "A dog."]
    assert (chat.system, replies(chat)) == ("Be exact.", [("gpt-4o-mini", "A dog.")])


@pytest.mark.parametrize(
    "raw",
    [
        OPENAI["messages"],
        [OPENAI["messages"]],
        {"body": OPENAI},
        {**OPENAI, "messages": OPENAI["messages"][:4],
         "choices": [{"message": OPENAI["messages"][4]}]},
    ],
    ids=["a list", "a list of lists", "a batch's request", "with the response"],
)  # fmt: skip
def test_openai_messages_elsewhere(raw: object) -> None:
    assert texts(one(raw)) == texts(one(OPENAI))


def test_openai_messages_in_lines() -> None:
    chats = read("\n".join([json.dumps(OPENAI)] * 2))
    assert [texts(chat) for chat in chats] == [texts(one(OPENAI))] * 2
    assert chats[0].id != chats[1].id  # nothing says that they are one
    chat = one("\n".join(map(json.dumps, OPENAI["messages"])))
    assert texts(chat) == texts(one(OPENAI))
    lists = read("\n".join([json.dumps(OPENAI["messages"])] * 2))
    assert len(lists) == 2


def test_ollama_messages() -> None:
    chat = one(OLLAMA)
    assert texts(chat) == ["Draw it\n\n[image]", "I cannot."]
    assert replies(chat) == [("llama3", "I cannot.")]


def test_llm_logs() -> None:
    names, other = read(LLM_LOGS)
    assert (names.id, names.title, names.has_title) == (
        "01c", "Ten names", False
    )  # fmt: skip
    assert names.system == "Be short."
    assert texts(names) == ["Ten names\n\n[attachment: cat.png]", "Pelle", "More", "Lotta"]
    assert replies(names) == [("gpt-4o-mini", "Pelle"), ("o3", "Lotta")]
    assert names.created == 1714557600.123456
    assert (other.id, other.title) == ("01y", "Mine")


def test_llm_logs_in_any_order() -> None:
    assert texts(read(LLM_LOGS[::-1])[0]) == texts(read(LLM_LOGS)[0])


@pytest.mark.parametrize("seed", range(3))
def test_ours(history: History, tmp_path: Path, seed: int) -> None:
    chat = anything(seed)
    export(chat, tmp_path / "chat.json")
    (imported,) = read((tmp_path / "chat.json").read_bytes())
    assert state(imported) == state(chat)
    assert not imported.has_title
    assert import_into(history, tmp_path / "chat.json").origins == {"gptterm": 1}
    assert state(history.load(chat.id)) == state(chat)


def test_several_of_ours() -> None:
    """As they come from a loop over `gptterm history show --json`."""
    chats = [json.dumps(OURS), json.dumps({**OURS, "id": "other"}, indent=1)]
    assert [chat.id for chat in read("\n".join(chats))] == [OURS["id"], "other"]


@pytest.mark.parametrize("number", [1 << 63, 10**40])
@pytest.mark.parametrize("name", ["seed", "ids"])
def test_numbers_that_no_column_holds(history: History, name: str, number: int) -> None:
    """They would stop the writer for good. The texts are worth more than they."""
    raw = json.loads(json.dumps(OURS))
    reply = raw["nodes"][1]
    reply["generations"][0]["seed"], reply["ids"] = (
        (number, []) if name == "seed" else (7, [number])
    )
    chat = one(raw)
    assert (chat.id, texts(chat)) == (OURS["id"], texts(one(OURS)))
    assert history.add_all([chat]) == [("new", 4)]
    assert history.add_all([one(OURS)]) == [("unchanged", 0)]


def test_ours_damaged() -> None:
    """The readable part of it is there, in the branch that was selected."""
    chat = anything(5)
    raw = json.loads(to_json(chat))
    raw["nodes"][3]["role"] = raw["nodes"][7]["generations"] = raw["nodes"][9]["created"] = "odd"
    raw["nodes"].append(None)
    found, (damaged,) = reader(raw)
    assert found.messages_left_out.counts == {"unreadable": 2}
    spoken = {text for _, text in said(damaged.conversation)}
    lost = chat.node(raw["nodes"][3]["id"]).text
    assert {text for _, text in said(chat)} - spoken <= {lost, ""}
    raw["nodes"] = None
    assert list(reader(raw)[0].left_out.counts) == ["it has no turns: nodes is null"]


def test_ours_with_lone_surrogates(history: History, tmp_path: Path) -> None:
    """A chat that the writer thread cannot write would keep the others from being written."""
    raw = json.dumps(OURS).replace('"title"', '"\\ud800"').replace("question", "\\ud800?")
    raw = raw.replace(f'"id": "{OURS["id"]}"', '"id": "\\udfff"').replace('"scripted"', '"\\udfff"')
    (tmp_path / "x.json").write_text(raw)
    assert import_into(history, tmp_path / "x.json").chats == {"new": 1}
    assert texts(history.load("\ufffd"))[0] == "\ufffd?"


# -------------------------------------------------------------------------------- telling


@pytest.mark.parametrize("name", EXPORTS)
def test_all_formats_are_told_apart(name: str) -> None:
    """Also in one file, and in one list."""
    alone = {(chat.title, *sorted(said(chat))) for chat in read(EXPORTS[name])}
    others = [raw for other, raw in EXPORTS.items() if not isinstance(raw, list) or other == name]
    raw = EXPORTS[name]
    mixed = json.dumps(talk_of(others)) + "\n" + json.dumps(raw)
    assert alone <= {(chat.title, *sorted(said(chat))) for chat in read(mixed)}
    assert alone


def talk_of(raws: list[object]) -> list[object]:
    return [raw for raw in raws if isinstance(raw, dict)]


@pytest.mark.parametrize("name", EXPORTS)
def test_all_there_is_to_a_chat_is_saved(history: History, name: str) -> None:
    for chat in read(EXPORTS[name]):
        history.add(chat)
        loaded = history.load(chat.id)
        assert state(loaded) == state(chat)
        saver = history.saver(loaded)
        assert saver.commit(60)
        assert not history.changed_elsewhere(saver)


@pytest.mark.parametrize("name", ["chatgpt", "claude", "openwebui", "llm-logs"])
def test_chats_in_an_object_around_them(name: str) -> None:
    raw = EXPORTS[name]
    wrapped = read({"version": 3, "chats": raw})
    assert [chat.id for chat in wrapped] == [chat.id for chat in read(raw)]


@pytest.mark.parametrize(
    "raw",
    [
        {"format": "gptterm conversation", "version": 99},
        {"mapping": 3},
        {"chat_messages": None},
        {"chat": None},
        {"history": {}},
        {"conversations": []},
        {"messages": 1},
        {"messages": [], "createdAt": 1, "preset": ""},
        {"prompt": None, "response": None, "datetime_utc": None},
        {"messages": [{"from": "Ann", "text": "a chat of people"}]},
    ],
    ids=str,
)
def test_chats_without_messages(raw: object) -> None:
    found, chats = reader([raw])
    assert (chats, found.is_known, found.left_out.counts.total()) == ([], True, 1)


@pytest.mark.parametrize(
    "raw", [3, None, "x", {}, [], [1], {"a": 1}, [{"role": "admin"}], {"users": [{"id": 1}]}]
)
def test_what_is_no_chat(raw: object) -> None:
    found, chats = reader(raw)
    assert (chats, found.is_known, bool(found.left_out)) == ([], False, False)


def test_ids_that_are_none_here(history: History) -> None:
    """An id becomes a column, a file's name, a word on the command line."""
    odd = ["", "a b", "\x1b[2J", "x" * 5000, "../..", "last\n", None, 5, "\ud800"]
    raws = [changed(CLAUDE, uuid=name, created_at=f"2024-05-01T10:00:0{n}Z")
            for n, name in enumerate(odd)]  # fmt: skip
    chats = read(raws)
    assert len({chat.id for chat in chats}) == len(odd)
    for chat in chats:
        assert len(chat.id) <= 100
        assert chat.id.isprintable()
        assert " " not in chat.id
        history.add(chat)
    assert [chat.id for chat in read(raws)] == [chat.id for chat in chats]


def test_messages_with_one_id_are_two() -> None:
    raw = changed(CLAUDE)
    for message in raw["chat_messages"]:
        message["uuid"] = "same"
        del message["parent_message_uuid"]
    assert texts(one(raw)) == [
        "What is in it?\n\n[attachment: tides.txt]\n[attachment: moon.png]",
        "The sea.\n\nWater.",
        "Why?",
    ]


def test_talk_is_not_changed_by_its_way(history: History, tmp_path: Path) -> None:
    chat = talk("\x1b[31mred\0", "\u202eright to left", "\ud83d\ude00")
    export(chat, tmp_path / "x.json")
    import_into(history, tmp_path / "x.json")
    assert texts(history.load(chat.id)) == texts(chat)
