"""Documents in the history: what is saved, by whom, and what is left after a kill."""

import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gptterm.document.bookmarks import toggle
from gptterm.document.pruning import Pruning
from gptterm.document.settings import DocumentSettings
from gptterm.document.tree import Document
from gptterm.engine.api import Failed
from gptterm.store import History
from gptterm.store.recovery import recover
from tests.document.test_tree import EMOJI, RUN, check_spans, end, parts, say, write, written

FILE = "/stories/fox.txt"


def reopened(path: Path, file: str = FILE) -> Document:
    with History.open(path) as history:
        return history.open_document(file).document


def assert_same(one: Document, other: Document) -> None:
    """The same tree, text and version in view."""
    assert other.id == one.id
    assert other.edits() == one.edits()
    assert other.current == one.current
    assert other.text == one.text
    assert other.spans == one.spans
    for version in (None, *(edit.id for edit in one.edits())):
        assert other.selected_child(version) == one.selected_child(version)


def test_a_document_comes_back_whole(history: History, path: Path) -> None:
    saver = history.open_document(FILE)
    document = saver.document
    document.replace(0, 0, "The fox 人 é")
    saver.save()
    named = written(document, 3, [0, 1, 4])
    document.names[named] = "with a 人"
    document.replace(1, 2, "")
    assert saver.flush()
    document.undo()
    document.undo()
    other = written(document, 3, [6])
    assert saver.flush()
    assert reopened(path).names == {named: "with a 人"}
    document.names.update({named: "", other: "other"})
    assert saver.unsaved
    assert saver.flush()
    again = reopened(path)
    assert again.names == {other: "other"}
    assert_same(document, again)
    assert parts(again) == parts(document) == ["The", [6], " fox 人 é"]
    again.undo()
    assert again.redo()
    assert again.text == document.text


def test_tokens_of_half_characters_come_back(history: History, path: Path) -> None:
    saver = history.open_document(FILE)
    document = saver.document
    (whole,) = document.begin(0, RUN)
    say(document, whole, b"a", b"\xfd", b" b" + EMOJI[:2], EMOJI[2:])
    end(document, whole)
    (stopped,) = document.begin(len(document.text), RUN)
    say(document, stopped, b"c", b" " + EMOJI[:2])
    document.finish(stopped, "cancelled")
    assert document.text == "a\ufffd b😀c "
    assert saver.flush()
    again = reopened(path)
    assert_same(document, again)
    assert [len(again.edit(version).ids) for version in (whole, stopped)] == [4, 1]


def test_what_was_refused_leaves_nothing(history: History, path: Path) -> None:
    saver = history.open_document(FILE)
    document = saver.document
    document.replace(0, 0, "So")
    (refused,) = document.begin(2, RUN)
    assert saver.flush()
    assert len(reopened(path)) == 2
    document.apply_event(refused, Failed(kind="internal", message="the note is too long"))
    document.discard(refused)
    assert saver.unsaved
    assert saver.flush()
    assert_same(document, reopened(path))


def test_marks_settings_and_what_is_pruned_come_back(history: History, path: Path) -> None:
    saver = history.open_document("")
    document = saver.document
    document.settings = DocumentSettings(note="gloomy", values={"top_k": 3, "stop": ["."]})
    assert saver.flush()
    assert reopened(path, "").settings == document.settings
    fork = document.replace(0, 0, "Once\nupon")
    kept = document.replace(9, 9, " a")
    document.go(fork)
    document.replace(9, 9, " a")
    document.go(fork)
    document.replace(9, 9, " the")
    pruning = Pruning(document)
    assert toggle(document, 3)
    assert pruning.merge() == 1
    assert saver.flush()
    pruning.prune(kept)
    assert saver.flush()
    assert [each[2:3] for each in history.documents()] == [("Once upon the",)]
    again = reopened(path, "")
    assert again.bookmarks == {document.current: 3}
    assert again.pruned == document.pruned
    assert_same(document, again)
    assert len(Pruning(again).restore()) == len(Pruning(again).restore()) == 1
    assert len(again.children(fork)) == 3


def test_a_branch_that_another_program_writes_to_is_not_pruned(path: Path) -> None:
    with History.open(path) as one, History.open(path) as other:
        first = one.open_document("")
        version = first.document.replace(0, 0, "both")
        assert first.flush()
        second = other.open_document("")
        Pruning(first.document).prune(version)
        assert first.flush()
        assert reopened(path, "").text == ""
        second.document.replace(4, 4, " other")
        assert second.flush()
    assert reopened(path, "").text == "both other"


def test_what_was_pruned_is_purged_after_a_week(history: History, path: Path) -> None:
    saver = history.open_document("")
    document = saver.document
    kept = document.replace(0, 0, "kept")
    for text in ("old", "new"):
        document.go(kept)
        document.replace(4, 4, text)
        document.replace(4, 4, text)
    old, new = document.children(kept)
    document.pruned.update({old: time.time() - 8 * 86400, new: time.time() - 6 * 86400})
    assert saver.flush()
    history.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE edits SET created = 1")
    again = reopened(path, "")
    assert (again.text, len(again)) == ("kept", 3)
    Pruning(again).restore()
    assert again.text == "keptnewnew"


def test_a_deleted_document_can_be_restored_for_a_week(history: History, path: Path) -> None:
    savers = {name: history.open_document(FILE, name) for name in ("one", "two")}
    for saver in savers.values():
        saver.document.replace(0, 0, saver.document.id)
        assert saver.flush()
    for name in savers:
        history.delete(name)
    assert history.documents() == []
    assert history.open_document(FILE).document.text == ""
    history.undelete("one")
    assert [each.id for each in history.documents()] == ["one"]
    # One that is written on elsewhere is wanted.
    savers["two"].document.replace(0, 0, "on ")
    assert savers["two"].flush()
    assert history.open_document(FILE).document.text == "on two"
    with pytest.raises(KeyError):
        history.delete("three")
    history.delete("two")
    history.close()
    for days, text in ((6, "on two"), (8, "")):
        with sqlite3.connect(path) as connection:
            then = time.time() - days * 86400
            connection.execute("UPDATE documents SET deleted = ? WHERE id = 'two'", (then,))
        with History.open(path) as again:
            assert again.open_document("", "two").document.text == text
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM edits").fetchone() == (1,)


def test_documents_without_a_file_are_told_apart(history: History) -> None:
    savers = [history.open_document("", name) for name in ("one", "two")]
    for saver in savers:
        saver.document.replace(0, 0, saver.document.id)
        assert saver.flush()
    history.rename("one", "The first")
    savers[0].document.replace(0, 0, "")
    assert savers[0].flush()
    assert [(each.id, each.title) for each in history.documents()] == [
        ("one", "The first"),
        ("two", "two"),
    ]
    assert history.open_document("").document.text == "one"
    again = history.open_document("", "two")
    assert (again.document.text, again.title) == ("two", "")


def test_documents_are_renamed_pinned_archived_copied_and_purged(
    history: History, path: Path
) -> None:
    saver = history.open_document(FILE, "one")
    document = saver.document
    kept = document.replace(0, 0, "secret words")
    document.names[kept] = "begun"
    written(document, 12, [0])
    assert saver.flush()
    history.rename("one", "Of a fox")
    history.pin("one")
    (summary,) = history.documents()
    assert (summary.title, summary.titled, summary.pinned) == ("Of a fox", True, True)
    copy = history.duplicate("one")
    history.archive("one")
    assert [(each.title, each.path) for each in history.documents()] == [("Of a fox (copy)", "")]
    assert [each.id for each in history.documents(archived=True)] == ["one"]
    assert len(history.documents(archived=None)) == 2
    copied = history.load_document(copy)
    assert copied is not None
    assert (copied.edits(), copied.names) == (document.edits(), document.names)
    for name in ("one", copy):
        history.purge(name)
    assert history.load_document(copy) is None
    assert history.deleted() == []
    history.close()
    assert b"secret words" not in path.read_bytes()


def test_a_document_without_an_edit_is_not_written(history: History, path: Path) -> None:
    saver = history.open_document(FILE)
    saver.save()
    assert saver.flush()
    assert not path.exists()


def test_every_file_has_its_own(history: History) -> None:
    for name in ("a", "b"):
        saver = history.open_document(name)
        saver.document.replace(0, 0, name)
        assert saver.flush()
    assert [(each.path, each.versions) for each in history.documents()] == [("b", 1), ("a", 1)]
    assert [each.path for each in history.documents(1)] == ["b"]
    assert history.open_document("a").document.text == "a"
    assert history.open_document("b").document.text == "b"
    assert history.open_document("c").document.text == ""


def test_what_is_being_written_is_saved_as_far_as_it_is(history: History, path: Path) -> None:
    saver = history.open_document(FILE)
    (version,) = saver.document.begin(0, RUN)
    write(saver.document, version, [0, 1])
    assert saver.flush()
    again = reopened(path)
    assert again.text == "a b"
    assert not again.is_streaming(version)
    write(saver.document, version, [1])
    end(saver.document, version)
    assert saver.flush()
    assert_same(saver.document, reopened(path))


def test_two_programs_write_to_one_document(path: Path) -> None:
    with History.open(path) as one, History.open(path) as other:
        first = one.open_document(FILE)
        first.document.replace(0, 0, "both")
        assert first.flush()
        second = other.open_document(FILE)
        first.document.replace(4, 4, " one")
        second.document.replace(4, 4, " other")
        assert first.flush()
        assert second.flush()
    again = reopened(path)
    texts = set()
    for edit in again.edits():
        again.go(edit.id)
        texts.add(again.text)
    assert texts == {"both", "both one", "both other"}


def test_a_history_that_is_replaced_gets_the_whole_document(history: History, path: Path) -> None:
    saver = history.open_document(FILE)
    saver.document.replace(0, 0, "kept")
    assert saver.flush()
    for file in path.parent.iterdir():
        file.unlink()
    saver.document.replace(4, 4, " too")
    assert saver.flush()
    assert_same(saver.document, reopened(path))


def test_what_cannot_be_written_is_written_later(history: History, path: Path) -> None:
    saver = history.open_document(FILE)
    saver.document.replace(0, 0, "a")
    assert saver.flush()
    blocker = sqlite3.connect(path)
    blocker.execute("CREATE TRIGGER no BEFORE INSERT ON edits BEGIN SELECT raise(ABORT, 'no'); END")
    blocker.commit()
    saver.document.replace(1, 1, "b")
    assert not saver.flush()
    assert saver.error
    assert saver.unsaved
    blocker.execute("DROP TRIGGER no")
    blocker.commit()
    blocker.close()
    assert saver.flush()
    assert saver.error == ""
    assert_same(saver.document, reopened(path))


def test_damaged_rows_cost_their_own_versions_only(history: History, path: Path) -> None:
    saver = history.open_document(FILE)
    kept = saver.document.replace(0, 0, "kept")
    lost = saver.document.replace(4, 4, " lost")
    saver.document.replace(9, 9, " with it")
    assert saver.flush()
    history.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE edits SET start = 77, ids = x'00' WHERE id = ?", (lost,))
        connection.execute("UPDATE edits SET run = 'no JSON' WHERE id = ?", (kept,))
    again = reopened(path)
    assert again.text == "kept"
    assert again.current == kept


def test_recovery_keeps_documents(history: History, path: Path, tmp_path: Path) -> None:
    saver = history.open_document(FILE)
    saver.document.replace(0, 0, "kept")
    written(saver.document, 4, [1])
    assert saver.flush()
    history.close()
    recover(path, tmp_path / "new.db")
    assert_same(saver.document, reopened(tmp_path / "new.db"))


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_loses_nothing_that_was_on_the_disk(seed: int, path: Path) -> None:
    dice = random.Random(seed)
    command = [sys.executable, "-m", "tests.store.writing", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(dice.randint(1, 30)):
            last = process.stdout.readline()
        process.kill()
        rest = process.stdout.read().splitlines()
    length, version = (rest[-1] if rest and rest[-1].count(b" ") else last).split()
    with History.open(path) as history:
        document = history.open_document("story.txt").document
    # The tree is whole.
    for edit in document.edits():
        document.go(edit.id)
        check_spans(document)
    document.go(version.decode())
    assert len(document.text) == int(length)
