"""Files of the program's own: private, whole, never behind a link."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from gptterm.engine.runtime.log import LOG_LIMIT, LogStream, bound_log, open_log
from gptterm.own_files import make_folder, open_own, write_own


@pytest.fixture(params=[0o000, 0o777])
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_modes_under_any_umask(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o700, 0o700)
    os.close(open_own(tmp_path / "a" / "file", os.O_RDWR | os.O_CREAT))
    write_own(tmp_path / "a" / "written", b"text", overwrite=False)
    assert mode(tmp_path / "a" / "file") == mode(tmp_path / "a" / "written") == 0o600


def test_what_is_no_file_of_ones_own_is_refused(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link"
    victim.write_text("precious")
    victim.chmod(0o644)
    link.symlink_to(victim)
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    (tmp_path / "loop").symlink_to("loop")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/full")
    for name in ("link", "dangling", "loop", "pipe", "device"):
        with pytest.raises(OSError, match=r"."):
            open_own(tmp_path / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.close(open_log(tmp_path / name))
    assert (victim.read_text(), mode(victim)) == ("precious", 0o644)
    (tmp_path / "hard").hardlink_to(victim)
    victim.write_bytes(bytes(LOG_LIMIT + 1))
    log = open_log(tmp_path / "hard")
    os.write(log, b"text")
    os.close(log)
    assert victim.read_bytes() == bytes(LOG_LIMIT + 1)
    assert mode(victim) == 0o600  # of one's own, all the same
    assert not (tmp_path / "nothing").exists()


def test_files_are_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path, victim = tmp_path / "file", tmp_path / "victim"
    write_own(path, b"old", overwrite=False)
    with pytest.raises(FileExistsError):
        write_own(path, b"new", overwrite=False)
    assert path.read_bytes() == b"old"
    victim.write_bytes(b"precious")
    path.unlink()
    path.symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_own(path, b"new", overwrite=False)
    write_own(path, b"new", overwrite=True)
    assert (path.read_bytes(), victim.read_bytes()) == (b"new", b"precious")
    assert {file.name for file in tmp_path.iterdir()} == {"file", "victim"}


def test_a_log_is_bounded_while_it_is_open(tmp_path: Path) -> None:
    path = tmp_path / "log"
    descriptor, other = open_log(path), open_log(path)
    stream = LogStream(descriptor)
    for number in range(3000):
        print(f"{number} " + "x" * 1000, file=stream)
    lines = path.read_text().splitlines()
    assert path.stat().st_size <= LOG_LIMIT + 2000
    assert [int(line.split()[0]) for line in lines] == [*range(3000 - len(lines), 3000)]
    os.write(other, b"native code writes without the stream\n" * (LOG_LIMIT // 30))
    bound_log(descriptor)
    assert path.stat().st_size < LOG_LIMIT // 2
    os.close(descriptor)
    os.close(other)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_log_that_cannot_be_written_is_no_fault(tmp_path: Path) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    print("text \ud800", file=LogStream(full), flush=True)
    os.close(full)
    print("after it was closed", file=LogStream(full), flush=True)
    blocked = tmp_path / "file" / "log"
    (tmp_path / "file").touch()
    os.close(open_log(blocked))
