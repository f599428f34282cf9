"""Conversations to save, and direct access to the file they are saved in."""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from gptterm.conversation.nodes import Generation
from gptterm.conversation.tree import Conversation
from gptterm.engine.api import (
    Event,
    GenerateRequest,
    SamplingParams,
    TextPrompt,
    Token,
)
from gptterm.store import ChatSaver, schema
from gptterm.store.serialization import encode_run, pack_ids
from tests.support.scripted import Script, ScriptedEngine

SAMPLING = SamplingParams(
    temperature=0.5, top_k=7, logit_bias=((3, float("-inf")), (4, 1.5)), order="llama"
)


OLD_ANSWER = "an old => answer in that Straße"
"""The reply in an older history."""


def planned(model: str = "scripted", seed: int | None = 7) -> Generation:
    """A run that has not begun."""
    info = ScriptedEngine(name=model).info
    return Generation.for_model(info, SAMPLING, seed=seed, max_tokens=99, stop=("\n\n",))


def old_run() -> Generation:
    """The run of `write_version`, as older versions kept it: with its system text."""
    return msgspec.structs.replace(planned(), system="be kind")


def events(*replies: str, model: str = "scripted") -> list[Event]:
    """The events of a scripted engine."""
    engine = ScriptedEngine(Script.saying(*replies), name=model)
    return list(engine.generate(GenerateRequest(prompt=TextPrompt(text="x"), seed=7)))


def tokens(reply: str) -> tuple[Event, list[Event], Event]:
    """The first event, the tokens and the last event of a scripted engine."""
    begun, *came, ended = events(reply)
    return begun, [event for event in came if isinstance(event, Token)], ended


def answer(saver: ChatSaver, question: str, text: str) -> str:
    """Add a question and its reply; return the reply's id."""
    chat = saver.chat
    user = chat.add_user(question)
    saver.commit()
    reply = chat.begin_reply(user, planned())
    for event in events(text):
        saver.apply_event(reply, event)
    return reply


def talk(*texts: str, system: str = "", model: str = "scripted") -> Conversation:
    """A conversation of these texts, questions and replies in turn."""
    chat = Conversation(system)
    for i in range(0, len(texts), 2):
        user = chat.add_user(texts[i])
        for text in texts[i + 1 : i + 2]:
            reply = chat.begin_reply(user, planned(model))
            for event in events(text, model=model):
                chat.apply_event(reply, event)
    return chat


def anything(seed: int, turns: int = 40) -> Conversation:
    """A conversation with branches, continued, cancelled and failed replies."""
    dice = random.Random(seed)
    chat = Conversation(f"system {seed}")
    chat.add_user("first")
    while len(chat) < turns:
        node = chat.node(dice.choice(chat.nodes()).id)
        if dice.random() < 0.3:
            chat.edit(node.id, f"edited {dice.random()} 人工")
        elif node.role == "user":
            reply = chat.begin_reply(node.id, planned(f"model-{dice.randrange(3)}"))
            chosen = events(f"a reply {dice.random()} of some words\nand a line")
            cut = dice.randrange(len(chosen) + 1)
            for event in chosen[:cut]:
                chat.apply_event(reply, event)
            chat.finish(reply, dice.choice(["cancelled", "error"]), error="why")
            if dice.random() < 0.3:
                chat.continue_reply(reply, planned())
                for event in events(" and on"):
                    chat.apply_event(reply, event)
        else:
            chat.select(node.id)
            chat.add_user(f"and {dice.random()}?")
    chat.select(dice.choice(chat.nodes()).id)
    return chat


def state(chat: Conversation) -> tuple[object, ...]:
    """Everything in a conversation, to be compared."""
    nodes = sorted(chat.nodes(), key=lambda node: node.id)
    opened = sorted((node.id, chat.selected_child(node.id)) for node in nodes)
    return chat.id, chat.created, chat.system, nodes, opened, chat.path()


def texts(chat: Conversation) -> list[str]:
    """The texts of the selected path."""
    return [chat.node(key).text for key in chat.path()]


def said(chat: Conversation) -> set[tuple[str, str]]:
    """Roles and texts of all turns."""
    return {(node.role, node.text) for node in chat.nodes()}


def write_version(path: Path, version: int) -> None:
    """Write a history of an older schema version, with one chat, and a document where it can."""
    connection = sqlite3.connect(path, isolation_level=None)
    schema.migrate(connection, schema.MIGRATIONS[:version])
    connection.execute(
        "INSERT INTO conversations (id, created, updated, first_line, system, model, open_root)"
        " VALUES ('c', 1.0, 2.0, 'question', 'be kind', 'gpt2', '1')"
    )
    connection.execute(
        "INSERT INTO turns (conversation, id, parent, role, created, open_child, text)"
        " VALUES (1, '1', NULL, 'user', 1.0, '2', 'question')"
    )
    connection.execute(
        "INSERT INTO turns (conversation, id, parent, role, created, ids, text)"
        " VALUES (1, '2', '1', 'assistant', 1.5, ?, ?)",
        (pack_ids([1, 2, 70000]), OLD_ANSWER),
    )
    connection.execute(
        "INSERT INTO runs (turn, number, model, revision, seed, reason, data)"
        " VALUES (2, 0, 'gpt2', 'abc', 7, 'eos', ?)",
        (encode_run(old_run()),),
    )
    connection.execute("INSERT INTO drafts VALUES ('', 'unsent', 3.0)")
    if version >= schema.VERSION_WITH_SIGNS:
        connection.execute("UPDATE turns SET signs = signs_of(text)")
    if version >= schema.VERSION_WITH_WRITING_ORDER:
        connection.execute("UPDATE turns SET spaced = spaced_of(text)")
    if version >= schema.VERSION_WITH_DOCUMENTS:
        connection.execute(
            "INSERT INTO documents (id, created, updated, current) VALUES ('d', 1.0, 2.0, '1')"
        )
        connection.execute(
            "INSERT INTO edits (document, id, start, removed, text, created)"
            " VALUES (1, '1', 0, 0, 'old text', 1.0)"
        )
    connection.close()


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Connect to the file directly."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def check_integrity(path: Path) -> None:
    """Check the file, the search index and the references between rows."""
    with opened(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.execute("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)")
        wrong = connection.execute(
            "SELECT count(*) FROM conversations AS c WHERE turns !="
            " (SELECT count(*) FROM turns WHERE conversation = c.seq)"
        ).fetchone()
        assert wrong == (0,)
