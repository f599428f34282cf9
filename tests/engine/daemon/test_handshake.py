"""Warm engines and everybody who should stay out: other users, their folders and links."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gptterm.engine.daemon import fingerprint, launcher, registry
from gptterm.engine.daemon.sync_client import open_engine
from tests.support.daemon import opened
from tests.support.ipc_engines import request, text_of
from tests.support.scripted import FACTORY, Script, write_script

FINE = Script.saying("fine again")
NOBODY = 65534


@pytest.fixture
def other_user() -> int:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    return NOBODY


INTRUDER = """
import os, socket, sys
os.setgid({nobody}); os.setuid({nobody})
connection = socket.socket(socket.AF_UNIX)
connection.settimeout(10)
try:
    connection.connect(sys.argv[1])
    print("connected", flush=True)
    connection.sendall(b"\\0\\0\\0\\0")
    print(len(connection.recv(100)))
except OSError as error:
    print(type(error).__name__)
"""


def intrude(path: Path) -> list[str]:
    code = INTRUDER.format(nobody=NOBODY)
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def test_another_user_cannot_connect(folder: Path, tmp_path: Path, other_user: int) -> None:
    del other_user
    engine = opened(write_script(tmp_path, FINE))
    path = registry.socket_path(folder, registry.names(folder)[0])
    assert intrude(path) == ["PermissionError"]
    # With the folder open it is the socket, and with that open the engine itself.
    for directory in (folder.parent, folder):
        directory.chmod(0o755)
    assert intrude(path) == ["PermissionError"]
    path.chmod(0o666)
    assert intrude(path)[0] == "connected"
    assert intrude(path)[1] in ("0", "ConnectionResetError", "BrokenPipeError")
    for directory in (folder, folder.parent):
        directory.chmod(0o700)
    assert text_of(list(engine.generate(request()))) == "fine again"


IMPOSTOR = """
import os, socket, sys
os.setgid({nobody}); os.setuid({nobody})
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
os.chmod(sys.argv[1], 0o777)
listener.listen()
print("listening", flush=True)
connection, _ = listener.accept()
print(connection.recv(1000), flush=True)
"""


def test_an_engine_of_another_user_gets_no_prompt(
    folder: Path, tmp_path: Path, other_user: int
) -> None:
    asked = write_script(tmp_path, FINE)
    path = registry.socket_path(folder, fingerprint.daemon_name(asked, FACTORY))
    # The folder was open once, and is closed again.
    folder.chmod(0o777)
    folder.parent.chmod(0o777)
    impostor = subprocess.Popen(
        [sys.executable, "-I", "-c", IMPOSTOR.format(nobody=other_user), str(path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with impostor:
        assert impostor.stdout is not None
        assert impostor.stdout.readline() == "listening\n"
        folder.chmod(0o700)
        folder.parent.chmod(0o700)
        with pytest.raises(registry.UnsafeDirectoryError, match="not this user's"):
            opened(asked)
        assert impostor.stdout.readline() == "b''\n"
    path.unlink()


def test_the_folder_must_be_a_directory_of_ones_own(folder: Path, tmp_path: Path) -> None:
    asked = write_script(tmp_path, FINE)

    def refused(match: str) -> None:
        with pytest.raises(registry.UnsafeDirectoryError, match=match):
            opened(asked)

    folder.chmod(0o750)
    refused("open to others")
    folder.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)
    refused("not a directory")
    folder.unlink()
    folder.symlink_to(tmp_path / "nowhere")
    refused("not a directory")
    folder.unlink()
    folder.write_text("")
    refused("not a directory")
    folder.unlink()
    folder.parent.chmod(0o770)
    refused("can be written by others")
    folder.parent.chmod(0o1777)  # as /tmp: only the owner can rename what is in it
    opened(asked).close()
    assert list(elsewhere.iterdir()) == []
    launcher.stop(launcher.list_daemons()[0])
    folder.parent.chmod(0o700)


def test_the_folder_must_not_be_another_users(
    folder: Path, other_user: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = folder.parent
    os.chown(folder, other_user, -1)
    with pytest.raises(registry.UnsafeDirectoryError, match="belongs to another user"):
        registry.socket_directory()
    os.chown(folder, 0, -1)
    # After `su` the variable leads to someone else's: the temporary directory then.
    other = runtime / "tmp"
    other.mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(other))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime / "theirs"))
    (runtime / "theirs").mkdir(mode=0o700)
    os.chown(runtime / "theirs", other_user, -1)
    path = registry.socket_directory()
    assert path.parent == other
    assert path.name.startswith(f"gptterm-{os.geteuid()}-")
    os.chown(other, other_user, -1)
    with pytest.raises(registry.UnsafeDirectoryError, match="belongs to another user"):
        registry.socket_directory()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))


def test_nothing_is_made_where_nothing_is_kept(folder: Path, tmp_path: Path) -> None:
    folder.rmdir()
    assert open_engine(write_script(tmp_path, FINE), None, factory=FACTORY) is None
    assert launcher.list_daemons() == []
    assert not folder.exists()


def test_a_lock_is_no_link(folder: Path, tmp_path: Path) -> None:
    asked = write_script(tmp_path, FINE)
    target = tmp_path / "precious"
    target.write_text("precious")
    (folder / f"{fingerprint.daemon_name(asked, FACTORY)}.lock").symlink_to(target)
    with pytest.raises(launcher.DaemonError, match="cannot be started"):
        opened(asked)
    assert target.read_text() == "precious"


def test_no_process_of_another_pid_namespace_is_killed(folder: Path) -> None:
    # There a process id reads 0, which would mean this very process and its group.
    for pid in (0, 1, -1):
        launcher.terminate(pid, folder, "0123456789abcdef", grace_s=0.0)
