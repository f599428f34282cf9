"""Scores of tokens on the disk: after a restart, from a file of an older version, recovered."""

import sqlite3
from pathlib import Path

import msgspec

from gptterm.conversation.token_scores import unpack
from gptterm.engine.api import Alternative, Token
from gptterm.store import History, schema, serialization
from tests.store.chats import check_integrity, opened, planned, state, talk, tokens, write_version


def scored(event: object) -> Token:
    assert isinstance(event, Token)
    others = (Alternative(id=1, piece=b" other", logprob=-1.5),)
    return msgspec.structs.replace(event, logprob=-0.5, alternatives=others)


def test_they_are_there_after_a_restart_and_with_each_version(history: History, path: Path) -> None:
    saver = history.saver(talk())
    chat = saver.chat
    question = chat.add_user("question")
    replies = [chat.begin_reply(question, planned()) for _ in range(2)]
    for reply, text in zip(replies, ("one way", "another 人工 way"), strict=True):
        begun, came, ended = tokens(text)
        for event in (begun, *map(scored, came), ended):
            saver.apply_event(reply, event)
    history.flush()
    there = history.load(chat.id)
    assert state(there) == state(chat)
    for reply, text in zip(replies, ("one way", "another 人工 way"), strict=True):
        node = there.node(reply)
        kept = unpack(node.scores)
        assert "".join(node.text[each.start : each.end] for each in kept) == text
        assert {each.logprob for each in kept} == {-0.5}
        assert {other.piece for each in kept for other in each.alternatives} == {b" other"}
    check_integrity(path)


def test_damaged_ones_leave_the_text(history: History, path: Path) -> None:
    saver = history.saver(talk())
    reply = saver.chat.begin_reply(saver.chat.add_user("question"), planned())
    begun, came, ended = tokens("an answer")
    for event in (begun, *map(scored, came), ended):
        saver.apply_event(reply, event)
    history.flush()
    with opened(path) as connection:
        connection.execute("UPDATE turns SET scores = 'x' || CAST(scores AS TEXT)")
    node = history.load(saver.chat.id).node(reply)
    assert (node.text, unpack(node.scores)) == ("an answer", ())


def test_a_file_without_them_is_read_and_migrated(path: Path) -> None:
    before = schema.VERSION_WITH_SCORES - 1
    path.parent.mkdir()
    write_version(path, before)
    with opened(path) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(turns)")]
        assert "scores" not in columns
        # A file that cannot be written is read as it is.
        found = serialization.read_nodes(connection, 1)
    assert next(node.text for node, _ in found) == "question"
    with History(path) as history:
        (summary,) = history.conversations()
        loaded = history.load(summary.id)
    assert [node.scores for node in loaded.nodes()] == [b"", b""]
    with sqlite3.connect(path) as connection:
        assert schema.version_of(connection) == schema.VERSION
