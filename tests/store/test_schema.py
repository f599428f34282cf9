"""Every older version of the tables becomes the newest, with what is in it."""

import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gptterm.store import History, HistoryError, schema
from gptterm.store.database import Database
from tests.store.chats import (
    OLD_ANSWER,
    check_integrity,
    old_run,
    opened,
    talk,
    texts,
    write_version,
)


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
        assert texts(chat) == ["question", OLD_ANSWER]
        assert chat.node("2").ids == (1, 2, 70000)
        assert chat.node("2").generations == (old_run(),)
        for query in ("old", "=>", "old =>", "answe", "STRASSE"):
            assert [hit.turn for hit in history.search(query)] == ["2"], query
        assert history.search("->") == []
        assert history.draft() == "unsent"
        text = "old text" if version >= schema.VERSION_WITH_DOCUMENTS else ""
        saver = history.open_document("")
        assert saver.document.text == text
        saver.document.bookmarks[saver.document.replace(0, 0, "An ")] = 3
        assert saver.flush()
        assert [each.title for each in history.documents()] == [f"An {text}".strip()]
        chat.add_user("new")
        assert history.saver(chat).commit()
    check_integrity(path)
    if version < schema.VERSION_WITH_SYSTEM_TEXTS:
        with opened(path) as connection:
            assert connection.execute("SELECT text FROM texts").fetchall() == [("be kind",)]
            found = connection.execute("SELECT count(*) FROM runs WHERE data LIKE '%be kind%'")
            assert found.fetchone() == (0,)
    fresh = path.with_name("fresh.db")
    write_version(fresh, schema.VERSION)
    assert tables(path) == tables(fresh)


@pytest.mark.parametrize(("slow_s", "notices"), [(-1.0, 1), (60.0, 0)])
def test_a_change_that_takes_long_is_explained(
    path: Path, monkeypatch: pytest.MonkeyPatch, slow_s: float, notices: int
) -> None:
    monkeypatch.setattr("gptterm.store.database.SLOW_S", slow_s)
    path.parent.mkdir()
    write_version(path, 1)
    told: list[str] = []
    for _ in range(2):
        with History.open(path, told.append) as history:
            history.conversations()
    assert len(told) == notices
    assert all("was migrated to this version of gptterm" in notice for notice in told)


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


class Overtaken:
    """A connection; after its first statement another process of ours makes the tables."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._done = False

    def execute(self, sql: str) -> sqlite3.Cursor:
        cursor = self._connection.execute(sql)
        answer = cursor.fetchall()
        if not self._done:
            self._done = True
            begin = "import sys; from pathlib import Path; from gptterm.store import History;"
            begin += "h = History.open(Path(sys.argv[1])); h.set_draft('x'); h.close()"
            subprocess.run([sys.executable, "-c", begin, str(self._path)], check=True)
        values = ", ".join(str(value) for value in answer[0])
        return self._connection.execute(f"SELECT {values}")


def test_tables_that_another_process_makes_meanwhile_are_ours(path: Path) -> None:
    path.parent.mkdir()
    path.touch(0o600)
    database = Database(path, print)
    with opened(path) as connection:
        database._refuse_foreign(Overtaken(connection, path))  # type: ignore[arg-type]
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() > (0,)


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
    said = [process.communicate(timeout=180)[0] for process in begun]
    assert said == [b""] * 8
    assert [process.returncode for process in begun] == [0] * 8
    with History.open(path) as history:
        assert len(history.conversations()) == 8
    check_integrity(path)


def test_a_newer_program_takes_it_over_while_it_is_open(path: Path) -> None:
    """Nothing is written any more; what is new stays in memory, and the user is told."""
    notices: list[str] = []
    with History.open(path, notices.append) as history:
        saver = history.saver(talk("a", "b"))
        assert saver.commit(60)
        with opened(path) as connection:
            connection.execute("PRAGMA user_version = 99")
        saver.chat.add_user("new")
        assert not saver.commit()
        assert "newer gptterm" in history.write_error
        with opened(path) as connection:
            assert connection.execute("SELECT count(*) FROM turns").fetchone() == (2,)
        assert not history.close()
    assert len(notices) == 1
