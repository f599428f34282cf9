"""Report of an import, and imports as a whole."""

import json
import random
import string
import time
from pathlib import Path

import pytest

from gptterm.conversation.export import export, to_json
from gptterm.conversation.tree import Conversation
from gptterm.store import History, HistoryError, imports
from gptterm.store.imports import Report, import_files
from gptterm.store.merge import Merged, Status
from tests.store.chats import opened, talk, texts
from tests.store.imports.exports import BRANCHED, chatgpt, import_into, import_json, linear, read


def report_of(left_out: int = 0, **counts: int) -> Report:
    report = Report()
    for status, count in counts.items():
        for number in range(count):
            statuses: dict[str, Status] = {
                "new": "new", "updated": "updated", "restored": "restored", "here": "unchanged"
            }  # fmt: skip
            report.add(f"{status}{number}", "ChatGPT", Merged(statuses[status], 1))
    for _ in range(left_out):
        report.left_out.add("it is empty", "“x”")
    return report


@pytest.mark.parametrize(
    ("report", "summary"),
    [
        (report_of(), "nothing was imported"),
        (report_of(new=1), "imported 1 chat"),
        (report_of(new=2), "imported 2 chats"),
        (report_of(new=1, here=1), "imported 1 chat, 1 was here already"),
        (report_of(new=2, here=10), "imported 2 chats, 10 were here already"),
        (report_of(here=1), "nothing is new: 1 chat was here already"),
        (report_of(here=2), "nothing is new: 2 chats were here already"),
        (report_of(new=3000, updated=1, restored=2, here=1, left_out=3),
         "imported 3,000 chats, restored 2 chats, updated 1 chat, 1 was here already, 3 left out"),
    ],
)  # fmt: skip
def test_the_summary(report: Report, summary: str) -> None:
    assert report.summary() == summary
    assert report.lines()[0] == summary
    assert json.loads(json.dumps(report.as_object()))["imported"] == report.chats["new"]


def test_reasons_have_a_line_each() -> None:
    report = report_of(new=1, left_out=2)
    report.left_out.add("cut off", "a.json, no. 3")
    report.files_left_out.add("it is damaged", "b.zip, c.json")
    report.messages_left_out.add("unreadable", "“y”", 4)
    assert report.lines()[1:] == [
        "left out 2 chats: it is empty (“x”)",
        "left out 1 chat: cut off (a.json, no. 3)",
        "left out 1 file: it is damaged (b.zip, c.json)",
        "left out 4 messages: unreadable (“y”)",
    ]
    assert report.sentence() == "imported 1 chat, 4 left out: it is empty"


def test_what_a_file_says_is_shown_on_one_printable_line(history: History, tmp_path: Path) -> None:
    odd = {**BRANCHED, "mapping": None, "title": "\x1b]0;evil\x07\n" + "long " * 100}
    report = import_json(history, tmp_path, [BRANCHED, odd])
    for line in report.lines():
        assert line.isprintable()
        assert len(line) < 160


def test_a_chat_in_which_nothing_was_said_is_none(history: History, tmp_path: Path) -> None:
    from tests.store.imports.exports import message

    empty = chatgpt("a", a=("b", message("user", "in a")), b=("a", message("user", "circle")))
    report = import_json(history, tmp_path, [empty, {**BRANCHED, "conversation_id": "other"}])
    assert list(report.ids) == ["other"]
    assert report.left_out.counts == {"it is empty": 1}
    assert "its only chat: it is empty" in import_json(history, tmp_path, [empty]).problems[0]


def test_a_chat_without_an_id_imported_again_is_the_same(history: History, tmp_path: Path) -> None:
    raw = linear("user", "assistant")
    for entry in raw["mapping"].values():
        del entry["message"]["create_time"]
    del raw["create_time"], raw["conversation_id"]
    assert import_json(history, tmp_path, raw).chats == {"new": 1}
    report = import_json(history, tmp_path, raw)
    assert report.chats == {"unchanged": 1}
    assert len(history.load(*report.ids)) == 2
    longer = json.loads(json.dumps(raw))
    longer["mapping"] |= {"n2": {**raw["mapping"]["n0"], "id": "n2", "parent": "n1"}}
    assert import_json(history, tmp_path, longer).chats == {"updated": 1}


@pytest.mark.parametrize("fields", [{}, {"id": "x"}, {"model": "m"}])
def test_messages_that_go_on_are_the_same_chat(
    history: History, tmp_path: Path, fields: dict[str, str]
) -> None:
    said = [
        {"role": "user" if n % 2 == 0 else "assistant", "content": f"text {n}"} for n in range(4)
    ]
    assert import_json(history, tmp_path, {**fields, "messages": said[:2]}).chats == {"new": 1}
    report = import_json(history, tmp_path, {**fields, "messages": said})
    assert report.chats == {"updated": 1}
    assert texts(history.load(*report.ids)) == [f"text {n}" for n in range(4)]


def test_a_title_comes_back(history: History, tmp_path: Path) -> None:
    chat = talk("first line", "b")
    history.add(chat)
    history.rename(chat.id, "A name")
    file = tmp_path / "chat.json"
    export(history.load(chat.id), file)
    history.purge(chat.id)

    assert import_into(history, file).chats == {"new": 1}
    assert [(each.title, each.titled) for each in history.conversations()] == [("A name", True)]
    history.rename(chat.id, None)
    assert history.conversations()[0].title == "first line"
    # What it is called here now is what is wanted.
    history.rename(chat.id, "Another name")
    assert import_into(history, file).chats == {"unchanged": 1}
    assert history.load(chat.id).title == "Another name"


def test_batches(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "MOST_TURNS", 7)
    chats = [linear(*["user"] * 3, conversation_id=f"c{n % 40}") for n in range(50)]
    report = import_json(history, tmp_path, chats)
    assert report.chats == {"new": 40, "unchanged": 10}
    assert len(history.conversations()) == 40


def test_a_dry_run(history: History, tmp_path: Path, path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps([BRANCHED, BRANCHED, linear("user")]))
    report = Report(dry_run=True)
    import_files(history, [tmp_path / "x.json"], report)
    assert report.chats == {"new": 1, "unchanged": 2}
    assert report.summary() == "dry run: imported 1 chat, 2 were here already"
    assert not path.exists()


def test_what_cannot_be_saved_is_an_error(
    history: History, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chats that were written before are there, and in the report."""
    monkeypatch.setattr(imports, "MOST_TURNS", 1)
    monkeypatch.setattr("gptterm.store.database.BUSY_S", 0.0)
    export(talk("a", "b"), tmp_path / "1.json")
    export(talk("c", "d"), tmp_path / "2.json")
    report = Report()

    def lock(_read: int, _size: int) -> None:
        if len(report) and not other.in_transaction:
            other.execute("BEGIN IMMEDIATE")

    history.conversations()
    history.set_draft("the file is there")
    assert history.flush()
    with opened(path) as other, History.open(path) as ours:
        with pytest.raises(HistoryError, match="in use"):
            import_files(ours, [tmp_path / f"{n}.json" for n in (1, 2, 1, 2, 1, 2)], report, lock)
        other.execute("ROLLBACK")
        assert len(history.conversations()) == report.chats["new"] > 0


@pytest.mark.slow
def test_thousands_of_chats_take_seconds(history: History, tmp_path: Path) -> None:
    """5 s on two free cores; here the seconds of both are counted, whatever else runs."""
    dice = random.Random(1)
    words = [
        "".join(dice.choices(string.ascii_lowercase, k=dice.randint(2, 9))) for _ in range(5000)
    ]
    with (tmp_path / "x.json").open("w") as file:
        for number in range(3000):
            raw = linear(*["user", "assistant"] * 10, conversation_id=f"c{number}")
            for entry in raw["mapping"].values():
                entry["message"]["content"]["parts"] = [" ".join(dice.choices(words, k=60))]
            file.write(f"{',' if number else '['}{json.dumps(raw)}")
        file.write("]")
    begun = time.process_time()
    assert import_into(history, tmp_path / "x.json").chats == {"new": 3000}
    assert time.process_time() - begun < 15
    begun = time.process_time()
    assert import_into(history, tmp_path / "x.json").chats == {"unchanged": 3000}
    assert time.process_time() - begun < 8


# ----------------------------------------------------------------------------------- times

NO_TIMES = [
    1e18, 1e300, 10**400, -1, -1e300, 10**15, "soon", "nan", "-inf", "1e999", True, None, [], {},
]  # fmt: skip
TIMES = [(1.7e9, 1.7e9), (1_700_000_000_123, 1_700_000_000.123), ("1700000000", 1.7e9)]


def with_times(form: str, chat: object, *turns: object) -> Conversation:
    """A chat from a file that gives these times."""
    if form == "ours":
        name, raw = "created", json.loads(to_json(talk(*map(str, range(len(turns))))))
        parts = [raw, *raw["nodes"]]
    else:
        roles = ["user", "assistant"] * len(turns)
        name, raw = "create_time", json.loads(json.dumps(linear(*roles[: len(turns)])))
        parts = [raw, *(entry["message"] for entry in raw["mapping"].values())]
    for part, at in zip(parts, [chat, *turns], strict=True):
        part[name] = at
    (found,) = read(raw)
    return found


def times(chat: Conversation) -> list[float]:
    return [chat.created, *(node.created for node in chat.nodes())]


@pytest.mark.parametrize("form", ["ours", "theirs"])
@pytest.mark.parametrize(("given", "expected"), TIMES)
def test_a_time_is_understood(form: str, given: object, expected: float) -> None:
    assert times(with_times(form, given, given)) == [expected, expected]


def test_an_iso_time_is_understood() -> None:
    assert times(with_times("theirs", "2023-11-14T22:13:20Z", "2023-11-14T23:13:20+01:00")) == [
        1.7e9, 1.7e9
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["ours", "theirs"])
@pytest.mark.parametrize("wrong", [*NO_TIMES, "9999-99-99", "0001-01-01T00:00:00Z"], ids=str)
def test_what_is_no_time(form: str, wrong: object) -> None:
    """It is that of the turn before, or the first there is, or that of the import."""
    assert times(with_times(form, 10.0, wrong, 20.0, wrong)) == [10, 10, 20, 20]
    assert times(with_times(form, wrong, wrong, 20.0)) == [20, 20, 20]
    begun = time.time()
    for at in times(with_times(form, wrong, wrong)):
        assert begun <= at <= time.time()
