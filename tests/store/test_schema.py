"""Every older version of the tables becomes the newest, with what is in it."""

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gptterm.store import History, HistoryError, schema
from gptterm.store.rows import encode_run, pack_ids
from tests.store.chats import check_integrity, opened, planned, talk, texts


def write_version(path: Path, version: int) -> None:
    """A history as that version of the tables had it, with one chat."""
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
        " VALUES (1, '2', '1', 'assistant', 1.5, ?, 'an old answer')",
        (pack_ids([1, 2, 70000]),),
    )
    connection.execute(
        "INSERT INTO runs VALUES (2, 0, 'gpt2', 'abc', 7, 'eos', ?)", (encode_run(planned()),)
    )
    connection.execute("INSERT INTO drafts VALUES ('', 'unsent', 3.0)")
    connection.close()


def tables(path: Path) -> list[tuple[str, str]]:
    with opened(path) as connection:
        return connection.execute(
            "SELECT type, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name"
        ).fetchall()


@pytest.mark.parametrize("version", range(1, schema.VERSION + 1))
def test_from_every_version_on(path: Path, version: int) -> None:
    path.parent.mkdir()
    write_version(path, version)
    with History.open(path) as history:
        (summary,) = history.conversations()
        assert (summary.title, summary.model, summary.turns) == ("question", "gpt2", 2)
        chat = history.load("c")
        assert texts(chat) == ["question", "an old answer"]
        assert chat.node("2").ids == (1, 2, 70000)
        assert chat.node("2").generations == (planned(),)
        assert [hit.turn for hit in history.search("old")] == ["2"]
        assert history.draft() == "unsent"
        chat.add_user("new")
        assert history.record(chat).commit()
    check_integrity(path)
    fresh = path.with_name("fresh.db")
    write_version(fresh, schema.VERSION)
    assert tables(path) == tables(fresh)


def test_migrations_go_one_by_one_and_whole(tmp_path: Path) -> None:
    file = tmp_path / "x.db"
    second = (
        "ALTER TABLE conversations ADD COLUMN colour TEXT;\n"
        "UPDATE conversations SET colour = 'a;b';\n"
    )
    third = "CREATE TABLE nosuch (x);\nINSERT INTO absent VALUES (1);\n"
    write_version(file, 1)
    with opened(file) as connection:
        schema.migrate(connection, [schema.FIRST, second])
        assert schema.version_of(connection) == 2
        assert connection.execute("SELECT colour FROM conversations").fetchall() == [("a;b",)]
        schema.migrate(connection, [schema.FIRST, second])
        before = tables(file)
        with pytest.raises(sqlite3.OperationalError, match="absent"):
            schema.migrate(connection, [schema.FIRST, second, third])
        assert schema.version_of(connection) == 2
    assert tables(file) == before


def test_a_newer_version_is_refused_and_left_untouched(path: Path) -> None:
    path.parent.mkdir()
    write_version(path, schema.VERSION)
    with opened(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    before = {
        file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in path.parent.iterdir()
    }
    with pytest.raises(HistoryError, match="newer gptterm") as raised:
        History.open(path)
    assert "\n" not in str(raised.value)
    after = {
        file.name: (file.read_bytes(), file.stat().st_mtime_ns) for file in path.parent.iterdir()
    }
    assert after == before


def test_a_newer_version_that_is_only_in_the_log_is_refused(path: Path) -> None:
    path.parent.mkdir()
    write_version(path, schema.VERSION)
    with opened(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
        with pytest.raises(HistoryError, match="newer gptterm"):
            History.open(path)


def test_another_programs_database_is_left_untouched(path: Path) -> None:
    path.parent.mkdir()
    with opened(path) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    before = path.read_bytes()
    with pytest.raises(HistoryError, match="another program's database"):
        History.open(path)
    assert path.read_bytes() == before


BEGIN = """
import sys, time
from pathlib import Path
from gptterm.store import History
from tests.store.chats import talk
while time.time() < float(sys.argv[2]):
    pass
with History.open(Path(sys.argv[1]), print) as history:
    sys.exit(not history.add(talk("a", "b")))
"""


def test_eight_processes_begin_one_history_at_once(path: Path) -> None:
    at = str(time.time() + 1.5)
    begun = [
        subprocess.Popen(
            [sys.executable, "-c", BEGIN, str(path), at],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for _ in range(8)
    ]
    said = [process.communicate(timeout=60)[0] for process in begun]
    assert said == [b""] * 8
    assert [process.returncode for process in begun] == [0] * 8
    with History.open(path) as history:
        assert len(history.conversations()) == 8
    check_integrity(path)


def test_a_newer_program_takes_it_over_while_it_is_open(path: Path) -> None:
    """Nothing is written any more; what is new stays in memory, and the user is told."""
    notices: list[str] = []
    with History.open(path, notices.append) as history:
        recorder = history.record(talk("a", "b"))
        assert recorder.commit()
        with opened(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        recorder.chat.add_user("new")
        assert not recorder.commit()
        assert "newer gptterm" in history.trouble
        with opened(path) as connection:
            assert connection.execute("SELECT count(*) FROM turns").fetchone() == (2,)
        assert not history.close()
    assert len(notices) == 1
