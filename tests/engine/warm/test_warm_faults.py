"""Warm engines: everything that can break, and everybody who should stay out."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from gptterm.engine.api import Event, Failed, Finished, Token
from gptterm.engine.process import worker as worker_module
from gptterm.engine.process.channel import Channel
from gptterm.engine.process.turns import Turns
from gptterm.engine.process.wire import Close, Generate, encode, report_reader
from gptterm.engine.process.worker import Worker
from gptterm.engine.warm import attach, greeting, identity, place
from gptterm.engine.warm.remote import open_engine
from gptterm.engine.warm.server import Spec
from gptterm.errors import GpttermError, ModelError
from tests.support.hosted import failure_of, request, text_of
from tests.support.scripted import FACTORY, STALLED, Fault, Script, write_script
from tests.support.waiting import gone, wait_until
from tests.support.warm import FOREVER, Client, opened, own_place

ENDLESS = Script.saying([" again"], endless=True, rate=200)
FINE = Script.saying("fine again")
NOBODY = 65534


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    with own_place(monkeypatch, tmp_path / "home") as path:
        yield path


@pytest.fixture
def other_user() -> int:
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    return NOBODY


def the_pid() -> int:
    (found,) = attach.engines()
    assert found.status is not None
    return found.status.pid


# ---------------------------------------------------------------------------------- clients

CLIENT = """
import sys
from pathlib import Path
from gptterm.engine.api import LoadRequest, ModelSource
from gptterm.engine.warm.remote import open_engine
from tests.support.hosted import request
from tests.support.scripted import FACTORY

source = ModelSource(name="scripted", directory=sys.argv[1])
engine = open_engine(LoadRequest(source=source), None, factory=FACTORY)
for event in engine.generate(request(max_tokens=10**6)):
    print(type(event).__name__, flush=True)
"""


def client_process(directory: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_client_that_dies_or_stands_still_leaves_the_others_alone(
    folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    del folder
    # Who stands still has a reply that comes to its end: the engine makes it, and goes on.
    script = Script.saying([" again"] * 500, rate=1000, endless=number == signal.SIGKILL)
    asked = write_script(tmp_path, script)
    other = Client(asked)
    with client_process(tmp_path) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "Token":
            assert process.poll() is None
        process.send_signal(number)
        other.begin(request(max_tokens=3))
        assert text_of(other.ended()) == " again" * 3
        process.kill()
    assert the_pid() == other.engine.attached.pid


def test_nonsense_ends_the_connection_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    asked = write_script(tmp_path, FINE)
    engine = opened(asked)
    path = str(place.socket_path(folder, place.names(folder)[0]))
    hello = b"\x00\x00\x00\x01\xc0"
    for data in (b"GET / HTTP/1.1\r\n\r\n", hello, b"\xff" * 8, b""):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):  # not all of it was read
                assert connection.recv(1) == b""
    # After a greeting, too.
    attached = attach.attach(asked, None, factory=FACTORY)
    assert attached is not None
    with attached.connection as connection:
        connection.sendall(b"\x00\x00\x00\x01\xff")
        while connection.recv(1 << 16):
            pass
    assert text_of(list(engine.generate(request()))) == "fine again"


def test_who_does_not_read_keeps_the_engine_from_others_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(worker_module, "_SLOW_READER_S", 0.1)
    script = Script.saying([b"x" * 500], endless=True)
    asked = write_script(tmp_path, script)
    worker = Worker(FACTORY, os._exit)
    worker.prepare()
    worker.keep(asked)
    threading.Thread(target=worker.run, daemon=True).start()
    ends = []
    for _ in range(2):
        ours, theirs = socket.socketpair()
        threading.Thread(target=worker.serve, args=(Channel(theirs),), daemon=True).start()
        ends.append(ours)
    slow, other = ends
    slow.sendall(encode(Generate(id=1, request=request(max_tokens=10**6))))
    wait_until(lambda: worker.turns.channels and max(_unsent(worker)) >= 1 << 16)
    assert worker.busy
    other.sendall(encode(Generate(id=1, request=request(max_tokens=1))))
    assert isinstance(_events(other)[-1], Finished)
    assert "was not read while others waited" in failure_of(_events(slow)).message
    worker.stop("the test is over")
    for end in ends:
        end.close()


def _unsent(worker: Worker) -> list[int]:
    return [channel.outbox.unsent for channel in worker.turns.channels]


def _events(connection: socket.socket) -> list[Event]:
    """Events until the generation ends."""
    reader, events = report_reader(), list[Event]()
    while not events or not isinstance(events[-1], Finished | Failed):
        data = connection.recv(1 << 16)
        assert data
        for report in reader.feed(data):
            event = getattr(report, "event", None)
            if event is not None:
                events.append(event)
    return events


def test_a_client_that_sends_many_prompts_gets_one_a_round() -> None:
    turns, channels = Turns(), []
    for _ in range(3):
        ours, theirs = socket.socketpair()
        channels.append(Channel(theirs))
        turns.join(channels[-1])
        del ours
    a, b, c = channels
    for number, channel in enumerate((a, a, a, b, c, b)):
        turns.put(channel, Generate(id=number, request=request()))
    order = []
    for _ in range(6):
        taken = turns.take()
        assert taken is not None
        order.append(taken[0])
    assert order == [a, b, c, a, b, a]
    turns.put(a, Close())
    turns.leave(a)
    turns.stop()
    assert turns.take() is None


# ---------------------------------------------------------------------------------- engines


def test_a_stale_socket_is_removed_and_an_engine_takes_its_place(
    folder: Path, tmp_path: Path
) -> None:
    asked = write_script(tmp_path, FINE)
    path = place.socket_path(folder, identity.name_of(asked, FACTORY))
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    assert open_engine(asked, None, factory=FACTORY) is None
    assert not path.exists()
    path.write_text("no socket at all")
    engine = opened(asked)
    assert text_of(list(engine.generate(request()))) == "fine again"


def test_an_engine_of_another_version_is_replaced_and_ends_with_its_last_client(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del folder
    asked = write_script(tmp_path, FINE)
    old = opened(asked, 3600.0)
    monkeypatch.setattr(identity, "__version__", "99.0")
    # keep_alive is off, but it was on for the one that is replaced.
    new = opened(asked, None)
    assert new.attached.started
    assert the_pid() == new.attached.pid != old.attached.pid
    (found,) = attach.engines()
    assert found.status is not None
    assert found.status.keep_alive_s == 3600
    for engine in (old, new, old):
        assert text_of(list(engine.generate(request()))) == "fine again"
    old.close()
    wait_until(lambda: gone(old.attached.pid), "the old engine to end")
    assert text_of(list(new.generate(request()))) == "fine again"


def test_a_model_that_has_changed_is_loaded_again(folder: Path, tmp_path: Path) -> None:
    del folder
    asked = write_script(tmp_path, FINE)
    opened(asked).close()
    first = the_pid()
    write_script(tmp_path, Script.saying("something else"))
    engine = opened(asked)
    assert engine.attached.pid != first
    assert text_of(list(engine.generate(request()))) == "something else"
    wait_until(lambda: gone(first), "the old engine to end")


def test_an_engine_that_was_killed_while_idle_is_replaced(folder: Path, tmp_path: Path) -> None:
    del folder
    asked = write_script(tmp_path, FINE)
    keeper, guest = opened(asked), opened(asked, None)
    first = the_pid()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: gone(first))
    # Who wants none to be started is told; who does gets another.
    assert "ended" in failure_of(list(guest.generate(request()))).message
    assert text_of(list(keeper.generate(request()))) == "fine again"
    assert keeper.attached.pid != first
    assert text_of(list(guest.generate(request()))) == "fine again"
    os.kill(second := the_pid(), signal.SIGKILL)
    wait_until(lambda: gone(second))
    with pytest.raises(GpttermError, match="ended"):
        guest.tokenize("a")


@pytest.mark.parametrize("how", ["die", "segfault", "cuda"])
def test_an_engine_that_dies_in_the_middle(folder: Path, tmp_path: Path, how: str) -> None:
    del folder
    fault = Fault(at="decode", how=how, token=2, generation=1)  # type: ignore[arg-type]
    asked = write_script(tmp_path, Script.saying("one two three four", faults=(fault,)))
    a, b = Client(asked), Client(asked)
    first = the_pid()
    a.begin(request())
    message = failure_of(a.ended()).message
    assert ("device-side assert" if how == "cuda" else f"(process {first}) ended") in message
    assert str(tmp_path / "home/engine.log") in message
    assert len([event for event in a.events if isinstance(event, Token)]) <= 2
    wait_until(lambda: gone(first))
    # The other one goes on, with another engine.
    b.begin(request(max_tokens=1))
    assert text_of(b.ended()) == "one"


def test_a_load_that_fails_is_told_to_all_and_not_kept(folder: Path, tmp_path: Path) -> None:
    fault = Fault(at="load", how="raise")
    asked = write_script(tmp_path, Script.saying("x", load_s=0.3, faults=(fault,)))
    errors: list[Exception] = []

    def try_it() -> None:
        try:
            opened(asked)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=try_it, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(errors) == 3
    assert all(isinstance(error, ModelError) for error in errors)
    assert all("the script says so" in str(error) for error in errors)
    wait_until(lambda: not list(folder.glob("*.sock")))
    assert attach.engines() == []
    assert text_of(list(opened(write_script(tmp_path, FINE)).generate(request()))) == "fine again"


def test_one_that_cannot_be_started_says_why(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del folder
    asked = write_script(tmp_path, FINE)
    with pytest.raises(ModelError, match="no_such"):
        opened(asked, factory="gptterm.no_such_module:load")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with pytest.raises(attach.WarmEngineError, match="cannot be started"):
        opened(asked)


def test_an_engine_that_does_not_answer_is_killed_and_replaced(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del folder
    asked = write_script(tmp_path, FINE)
    opened(asked).close()
    first = the_pid()
    os.kill(first, signal.SIGSTOP)
    monkeypatch.setattr(attach, "_ANSWER_S", 0.2)
    (found,) = attach.engines()
    assert found.status is not None
    assert (found.status.pid, found.status.state) == (first, "does not answer")
    engine = opened(asked)
    assert gone(first)
    assert text_of(list(engine.generate(request()))) == "fine again"


@pytest.mark.parametrize("limit", ["cancel", "stall"])
def test_an_engine_that_is_stuck_in_a_generation_ends_itself(
    folder: Path, tmp_path: Path, limit: str
) -> None:
    del folder
    fault = Fault(at="decode", how="stall", token=1, generation=1)
    asked = write_script(tmp_path, Script.saying("one two", faults=(fault,)))
    assert attach.launch(
        Spec(
            name=identity.name_of(asked, FACTORY),
            stamp=identity.stamp_of(asked),
            factory=FACTORY,
            request=asked,
            keep_alive_s=FOREVER,
            cancel_limit_s=0.1 if limit == "cancel" else 100.0,
            stall_limit_s=0.1 if limit == "stall" else 100.0,
        )
    )
    a, b = Client(asked), Client(asked)
    first = the_pid()
    a.begin(request())
    wait_until(lambda: STALLED in (tmp_path / "home/engine.log").read_text())
    if limit == "cancel":
        b.begin(request(max_tokens=1))
        wait_until(lambda: b.told == [1])
        a.stop()
        # Nothing had come of its generation: another engine does it.
        assert text_of(b.ended()) == "one"
        assert b.engine.attached.pid != first
    else:
        assert "ended" in failure_of(a.ended()).message
    wait_until(lambda: gone(first))
    assert "hangs" in (tmp_path / "home/engine.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(folder: Path, tmp_path: Path, number: signal.Signals) -> None:
    asked = write_script(tmp_path, ENDLESS)
    a, b = Client(asked), Client(asked)
    pid = the_pid()
    a.begin(request(max_tokens=10**6))
    wait_until(lambda: a.is_at(Token))
    b.begin(request(max_tokens=10**6))
    wait_until(lambda: b.told == [1])
    os.kill(pid, number)
    for client in (a, b):
        assert failure_of(client.ended()).message == "the warm engine was asked to end"
    wait_until(lambda: gone(pid))
    assert [path.suffix for path in folder.iterdir()] == [".lock"]


def test_stop_ends_one_that_is_stuck_in_a_load(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = write_script(
        tmp_path, Script.saying("x", faults=(Fault(at="load", how="stall"),))
    )  # fmt: skip
    with ThreadOf(lambda: opened(asked)) as opening:
        wait_until(lambda: attach.engines())
        (found,) = attach.engines()
        assert found.status is not None
        assert found.status.state == "loading"
        pid = found.status.pid
        attach.stop(found)
        assert isinstance(opening.error(), GpttermError)
    wait_until(lambda: gone(pid))
    # And one whose process does not even hear of it.
    opened(write_script(tmp_path, FINE)).close()
    (found,) = attach.engines()
    assert found.status is not None
    os.kill(found.status.pid, signal.SIGSTOP)
    monkeypatch.setattr(attach, "_END_S", 0.1)
    attach.end(found.status.pid, folder, found.name, patience_s=0.1)
    assert gone(found.status.pid)
    assert list(folder.glob("*.sock")) == []


class ThreadOf:
    """Something that runs in a thread, and how it ends."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:
            self._error = error

    def __enter__(self) -> "ThreadOf":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(30)
        assert not self._thread.is_alive()

    def error(self) -> Exception | None:
        """Wait for the end; what was raised."""
        self.__exit__()
        return self._error


def test_one_whose_socket_is_gone_ends(folder: Path, tmp_path: Path) -> None:
    asked = write_script(tmp_path, FINE)
    lost = opened(asked)
    place.socket_path(folder, place.names(folder)[0]).unlink()
    first = lost.attached.pid
    # The lock is still held; once the engine has noticed, another one can have it.
    wait_until(lambda: place.holder(folder, identity.name_of(asked, FACTORY)) is None)
    second = opened(asked)
    assert second.attached.pid != first
    for engine in (lost, second):
        assert text_of(list(engine.generate(request()))) == "fine again"
    lost.close()
    wait_until(lambda: gone(first), "the lost engine to end")
    assert the_pid() == second.attached.pid


# ------------------------------------------------------------------------------ other users

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
    path = place.socket_path(folder, place.names(folder)[0])
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
    path = place.socket_path(folder, identity.name_of(asked, FACTORY))
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
        with pytest.raises(place.UnsafeFolderError, match="not this user's"):
            opened(asked)
        assert impostor.stdout.readline() == "b''\n"
    path.unlink()


def test_the_folder_must_be_a_directory_of_ones_own(folder: Path, tmp_path: Path) -> None:
    asked = write_script(tmp_path, FINE)

    def refused(match: str) -> None:
        with pytest.raises(place.UnsafeFolderError, match=match):
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
    attach.stop(attach.engines()[0])
    folder.parent.chmod(0o700)


def test_the_folder_must_not_be_another_users(
    folder: Path, other_user: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = folder.parent
    os.chown(folder, other_user, -1)
    with pytest.raises(place.UnsafeFolderError, match="belongs to another user"):
        place.folder()
    os.chown(folder, 0, -1)
    # After `su` the variable leads to someone else's: the temporary directory then.
    other = runtime / "tmp"
    other.mkdir(mode=0o700)
    monkeypatch.setenv("TMPDIR", str(other))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime / "theirs"))
    (runtime / "theirs").mkdir(mode=0o700)
    os.chown(runtime / "theirs", other_user, -1)
    path = place.folder()
    assert path.parent == other
    assert path.name.startswith(f"gptterm-{os.geteuid()}-")
    os.chown(other, other_user, -1)
    with pytest.raises(place.UnsafeFolderError, match="belongs to another user"):
        place.folder()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))


def test_nothing_is_made_where_nothing_is_kept(folder: Path, tmp_path: Path) -> None:
    folder.rmdir()
    assert open_engine(write_script(tmp_path, FINE), None, factory=FACTORY) is None
    assert attach.engines() == []
    assert not folder.exists()


def test_a_lock_is_no_link(folder: Path, tmp_path: Path) -> None:
    asked = write_script(tmp_path, FINE)
    target = tmp_path / "precious"
    target.write_text("precious")
    (folder / f"{identity.name_of(asked, FACTORY)}.lock").symlink_to(target)
    with pytest.raises(attach.WarmEngineError, match="cannot be started"):
        opened(asked)
    assert target.read_text() == "precious"


def test_no_process_of_another_pid_namespace_is_killed(folder: Path) -> None:
    # There a process id reads 0, which would mean this very process and its group.
    for pid in (0, 1, -1):
        attach.end(pid, folder, "0123456789abcdef", patience_s=0.0)


def test_greetings_may_gain_fields_and_lose_none() -> None:
    ours, theirs = socket.socketpair()
    body = msgspec.msgpack.encode(
        {"type": "Hello", "version": "9", "stamp": "s", "something": ["new"]}
    )
    ours.sendall(len(body).to_bytes(4, "big") + body)
    word = greeting.receive(theirs, greeting.FROM_CLIENTS)
    assert isinstance(word, greeting.Hello)
    assert (word.version, word.keep_alive_s) == ("9", None)
    theirs.settimeout(0.01)
    with pytest.raises(TimeoutError):
        greeting.receive(theirs, greeting.FROM_CLIENTS)
    ours.close()
    theirs.close()
