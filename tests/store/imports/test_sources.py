"""Files, archives and folders, whatever is in them."""

import json
import os
import socket
import struct
import tracemalloc
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from gptterm.store import History
from gptterm.store.imports import Report, import_files, sources
from tests.store.chats import texts
from tests.store.imports.exports import BRANCHED, CLAUDE, EXPORTS, import_into, linear


def packed(file: Path, members: Mapping[str, object], **options: int) -> Path:
    """An archive with these members."""
    with zipfile.ZipFile(file, "w", options.get("packing", zipfile.ZIP_DEFLATED)) as archive:
        for name, data in members.items():
            text = data if isinstance(data, bytes) else json.dumps(data).encode()
            archive.writestr(name, text)
    return file


def chat(number: int) -> dict[str, object]:
    return linear("user", "assistant", conversation_id=f"c{number}", title=f"Chat {number}")


def problem(history: History, *files: Path) -> str:
    """Why nothing could be imported: one printable line."""
    report = import_into(history, *files)
    assert not len(report)
    (line,) = report.problems
    assert line.isprintable()
    return line


# ----------------------------------------------------------------------------------- files


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("suffix", [".json", ".txt", ""])
def test_a_files_name_says_nothing(
    history: History, tmp_path: Path, name: str, suffix: str
) -> None:
    file = tmp_path / f"export{suffix}"
    file.write_text(json.dumps(EXPORTS[name]))
    report = import_into(history, file)
    assert len(report) == report.chats["new"] > 0
    assert not report.problems


def test_what_is_no_export(history: History, tmp_path: Path) -> None:
    file = tmp_path / "evil\x1b[2J.json"
    for data in (
        b"\xff", b"{}", b"null", b'"x"', b"[1]", b"hello", b"\x89PNG\r\n\x1a\n",
        b"[1" + b"0" * 5000,
    ):  # fmt: skip
        file.write_bytes(data)
        line = problem(history, file)
        assert "no chats in a known format; known formats: gptterm's JSON, ChatGPT" in line
        assert len(line) < len(str(file)) + 250


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b" \n", "it is empty"),
        (b"[]", "it is empty"),
        (b"{", "its only chat: cut off"),
        (b'[{"mapping": 3}]', "its only chat: it has no messages: mapping is a num"),
        (b'[{"mapping": 3}, {"mapping": 4}]', "2 chats: it has no messages"),
        (b'{"format": "gptterm conversation", "version": 99}', "written in version 99"),
        (b'{"format": "gptterm conversation", "version": %s}' % (b"[" * 150 + b"]" * 150), "vers"),
        (b'{"format": "gptterm conversation", "version": %s}' % (b"7" * 4000), "version"),
        (b"[" * 200_000 + b"]" * 200_000, "nested too deeply"),
        (b'{"mapping":' * 50_000 + b"}" * 50_000, "nested too deeply"),
        (b"PK\x03\x04 no zip", "a damaged archive: "),
    ],
    ids=lambda data: data[:40],
)
def test_what_cannot_be_read(history: History, tmp_path: Path, data: bytes, reason: str) -> None:
    file = tmp_path / "evil\x1b[2J.json"
    file.write_bytes(data)
    line = problem(history, file)
    assert reason in line
    assert len(line) < len(str(file)) + 250


def test_what_is_not_there(history: History, tmp_path: Path) -> None:
    assert "No such file" in problem(history, tmp_path / "nosuch.json")
    assert "null" in problem(history, tmp_path / "a\0b")
    (tmp_path / "secret").touch(0o000)
    if os.geteuid():
        assert "Permission denied" in problem(history, tmp_path / "secret")


def test_pipes_and_devices_are_not_read(history: History, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        for path in (tmp_path / "pipe", Path("/dev/zero"), Path("/dev/null")):
            assert "not a regular file" in problem(history, path)
        assert "cannot read" in problem(history, tmp_path / "socket")
        # In a folder they are passed over.
        (tmp_path / "chat.json").write_text(json.dumps(CLAUDE))
        assert import_into(history, tmp_path).chats == {"new": 1}


def test_sizes_are_bounded(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sparse = tmp_path / "sparse.json"
    sparse.touch()
    os.truncate(sparse, 1 << 40)
    assert "larger than 1 GiB" in problem(history, sparse)
    data = json.dumps([chat(number) for number in range(100)])
    (tmp_path / "chats.json").write_text(data)
    monkeypatch.setattr(sources, "LARGEST", len(data) - 1)
    assert "larger than" in problem(history, tmp_path / "chats.json")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_byte_order_marks(history: History, tmp_path: Path, encoding: str) -> None:
    """PowerShell writes UTF-16."""
    raw = {**CLAUDE, "name": "Ülkü 😀"}
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") else ""
    data = (mark + json.dumps([raw], ensure_ascii=False, indent=1)).encode(encoding)
    (tmp_path / "export").write_bytes(data)
    import_into(history, tmp_path / "export")
    (summary,) = history.conversations()
    assert summary.title == "Ülkü 😀"


def test_surrogates_and_bytes_that_are_no_text(history: History, tmp_path: Path) -> None:
    data = json.dumps([linear("user", "assistant", title="TITLE")]).encode()
    data = data.replace(b'"0"', b'"a \xed\xa0\xbd\xed\xb8\x80 b \\ud83d c \xff d"')
    (tmp_path / "x.json").write_bytes(data.replace(b"TITLE", b"\xed\xa0\xbd"))
    assert import_into(history, tmp_path / "x.json").chats == {"new": 1}
    (summary,) = history.conversations()
    assert texts(history.load(summary.id)) == ["a 😀 b \ufffd c \ufffd d", "1"]
    assert summary.title == "\ufffd"


# -------------------------------------------------------------------------------- archives


def test_an_archive(history: History, tmp_path: Path) -> None:
    file = packed(
        tmp_path / "export.zip",
        {
            "user.json": {"id": "user-1", "email": "e"},
            "message_feedback.json": [{"id": "x", "conversation_id": "c1", "rating": "up"}],
            "conversations-000.json": [chat(1)],
            "x/conversations-001.json": [chat(2)],
            "no name": [chat(3)],
            "picture.png": b"\x89PNG\r\n" + bytes(1000),
            "__MACOSX/._conversations-000.json": b"\x00\x05\x16\x07" + bytes(100),
            "folder/": b"",
        },
    )
    report = import_into(history, file)
    assert report.chats == {"new": 3}
    assert (report.ignored, report.problems, bool(report.left_out)) == (2, [], False)
    assert "passed over 2 files without chats" in report.lines()


def test_one_bad_part_does_not_lose_the_others(history: History, tmp_path: Path) -> None:
    file = packed(
        tmp_path / "export.zip",
        {
            "conversations-000.json": [chat(1)],
            "conversations-001.json": b'[{"title": "cut off in the mid',
            "conversations-002.json": [chat(2), {**chat(3), "mapping": None}],
            "conversations-003.json": [chat(number) for number in range(4, 2000)],
            "conversations-004.json": [chat(5000)],
        },
    )
    data = bytearray(file.read_bytes())
    damaged = data.index(b"conversations-003.json") + 5000
    data[damaged : damaged + 4] = b"\xff\xff\xff\xff"
    file.write_bytes(data)
    report = import_into(history, file)
    assert {"c1", "c2", "c5000"} <= set(report.ids)
    assert report.left_out.counts["cut off"] >= 1
    assert report.left_out.counts["it has no messages: mapping is null"] == 1
    (damage,) = report.files_left_out.counts
    assert "it is damaged" in damage
    assert "conversations-003.json" in report.files_left_out.examples[damage]
    assert "export.zip, conversations-001.json" in report.left_out.examples["cut off"]


@pytest.mark.parametrize("change", ["encrypted", "packed in an odd way", "damaged", "cut"])
def test_an_archive_that_cannot_be_unpacked(history: History, tmp_path: Path, change: str) -> None:
    file = packed(tmp_path / "export.zip", {"conversations.json": [chat(1)] * 9})
    data = bytearray(file.read_bytes())
    local, central = data.index(b"PK\x03\x04"), data.index(b"PK\x01\x02")
    match change:
        case "encrypted":
            data[local + 6] |= 1
            data[central + 8] |= 1
        case "packed in an odd way":
            data[local + 8] = data[central + 10] = 99
        case "damaged":
            data[60:90] = bytes(30)
        case "cut":
            del data[-40:]
    file.write_bytes(data)
    assert "export.zip: " in problem(history, file)


def test_only_common_compression_is_unpacked(history: History, tmp_path: Path) -> None:
    """Others can ask for gigabytes of memory before they have unpacked a byte."""
    file = packed(tmp_path / "x.zip", {"conversations.json": [chat(1)]}, packing=zipfile.ZIP_LZMA)
    assert "unknown way" in problem(history, file)


def test_archives_that_unpack_to_much(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "LARGEST", 1 << 20)
    monkeypatch.setattr(sources, "_CHUNK", 1 << 16)
    bomb = b"[" + b" " * (50 << 20) + b"]"
    file = packed(tmp_path / "x.zip", {"a.json": bomb, "b.json": [chat(1)], "c.json": [chat(2)]})
    tracemalloc.start()
    try:
        report = import_into(history, file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert set(report.ids) == {"c1", "c2"}
    assert report.files_left_out.counts == {"it is too large": 1}
    assert peak < 20 << 20


def test_the_sum_of_what_is_unpacked_is_bounded(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "LARGEST_IN_ALL", 10_000)
    parts = {f"{number}.json": [chat(number)] for number in range(100)}
    report = import_into(history, packed(tmp_path / "x.zip", parts))
    assert 0 < len(report) < 30
    assert report.files_left_out.counts["it is too large"] == 100 - len(report)


def test_the_number_of_members_is_bounded(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MOST_FILES", 3)
    parts = {f"{number}.json": [chat(number)] for number in range(9)}
    report = import_into(history, packed(tmp_path / "x.zip", parts))
    assert len(report) == 3
    assert report.files_left_out.counts == {"more in it than 3 files": 1}
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(9):
        (folder / f"{number}.json").write_text(json.dumps(chat(10 + number)))
    assert len(import_into(history, folder)) == 3
    monkeypatch.setattr(sources, "LARGEST_READ", 100)
    assert "its directory is too large" in problem(history, tmp_path / "x.zip")


def test_an_archive_that_lies_about_its_directory(history: History, tmp_path: Path) -> None:
    file = packed(tmp_path / "x.zip", {"a.json": [chat(1)]})
    data = bytearray(file.read_bytes())
    at = data.index(b"PK\x05\x06")
    data[at + 12 : at + 16] = struct.pack("<I", 0xFFFFFFF0)
    file.write_bytes(data)
    assert "a damaged archive" in problem(history, file)


# --------------------------------------------------------------------------------- folders


def test_a_folder(history: History, tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    for number, (name, raw) in enumerate(EXPORTS.items()):
        (below if number % 2 else tmp_path / "a").joinpath(name).write_text(json.dumps(raw))
    packed(below / "z.zip", {"conversations.json": [chat(1)]})
    (below / "readme.md").write_text("# no chat")
    (below / "settings.json").write_text("{}")
    (below / "broken.zip").write_bytes(b"PK\x03\x04")
    (below / "link").symlink_to("nowhere")
    (below / "loop").symlink_to(tmp_path)
    report = import_into(history, tmp_path / "a")
    assert set(report.origins) == {
        "gptterm", "ChatGPT", "Claude", "Open WebUI", "LM Studio", "ShareGPT", "a messages file",
        "llm",
    }  # fmt: skip
    assert (report.ignored, report.problems) == (1, [])
    assert list(report.files_left_out.counts) == ["a damaged archive: File is not a zip file"]
    again = import_into(history, tmp_path / "a")
    assert again.chats == {"unchanged": len(report)}


def test_a_folder_without_a_chat(history: History, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    assert "no chats in a known format" in problem(history, tmp_path)


def test_one_bad_file_does_not_lose_the_others(history: History, tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("hello")
    (tmp_path / "good").write_text(json.dumps([BRANCHED]))
    report = import_into(history, tmp_path / "bad", tmp_path / "nosuch", tmp_path / "good")
    assert report.chats == {"new": 1}
    assert len(report.problems) == 2


# ---------------------------------------------------------------------------------- memory


def test_memory_is_that_of_a_chat_not_of_the_file(history: History, tmp_path: Path) -> None:
    file = tmp_path / "chats.json"
    with file.open("w") as stream:
        stream.write("[")
        for number in range(3000):
            raw = linear("user", "assistant", conversation_id=f"c{number}", filler="x" * 20_000)
            stream.write(f"{',' * bool(number)}{json.dumps(raw)}")
        stream.write("]")
    assert file.stat().st_size > 50 << 20
    report = Report(dry_run=True)
    tracemalloc.start()
    try:
        import_files(history, [file], report)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert report.chats == {"new": 3000}
    assert peak < 40 << 20


def test_progress(history: History, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([chat(1)]))
    packed(tmp_path / "b.zip", {"c.json": [chat(2)]})
    seen: list[tuple[int, int]] = []
    import_files(
        history, [tmp_path / "a.json", tmp_path / "b.zip"], Report(), lambda *n: seen.append(n)
    )
    assert seen[-1][0] == seen[-1][1]
    assert seen == sorted(seen)
