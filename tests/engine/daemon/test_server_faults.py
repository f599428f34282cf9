"""Warm engines that die, hang, cannot load, are out of date or lose their socket."""

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from gptterm.engine.api import LoadRequest, Token
from gptterm.engine.daemon import fingerprint, launcher, registry
from gptterm.engine.daemon.server import DaemonSpec
from gptterm.engine.daemon.sync_client import open_engine
from gptterm.engine.runtime.fingerprint import fingerprint_of
from gptterm.engine.runtime.log import LOG_LIMIT
from gptterm.errors import GpttermError, ModelError
from tests.support.daemon import ENDLESS, FOREVER, Client, opened, the_pid
from tests.support.ipc_engines import failure_of, request, text_of
from tests.support.scripted import FACTORY, STALLED, Fault, Script, write_script
from tests.support.waiting import gone, wait_until

FINE = Script.saying("fine again")


def test_a_stale_socket_is_removed_and_an_engine_takes_its_place(
    folder: Path, tmp_path: Path
) -> None:
    asked = write_script(tmp_path, FINE)
    path = registry.socket_path(folder, fingerprint.daemon_name(asked, FACTORY))
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
    monkeypatch.setattr("gptterm.engine.runtime.fingerprint.__version__", "99.0")
    # keep_alive is off, but it was on for the one that is replaced.
    new = opened(asked, None)
    assert new.connection.started
    assert the_pid() == new.connection.pid != old.connection.pid
    (found,) = launcher.list_daemons()
    assert found.status is not None
    assert found.status.keep_alive_s == 3600
    for engine in (old, new, old):
        assert text_of(list(engine.generate(request()))) == "fine again"
    old.close()
    wait_until(lambda: gone(old.connection.pid), "the old engine to end")
    assert text_of(list(new.generate(request()))) == "fine again"


def test_a_model_that_has_changed_is_loaded_again(folder: Path, tmp_path: Path) -> None:
    del folder
    asked = write_script(tmp_path, FINE)
    opened(asked).close()
    first = the_pid()
    write_script(tmp_path, Script.saying("something else"))
    engine = opened(asked)
    assert engine.connection.pid != first
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
    assert keeper.connection.pid != first
    assert text_of(list(guest.generate(request()))) == "fine again"
    os.kill(second := the_pid(), signal.SIGKILL)
    wait_until(lambda: gone(second))
    with pytest.raises(GpttermError, match="ended"):
        guest.tokenize("a")


@pytest.mark.parametrize("how", ["die", "segfault", "bus_error", "cuda"])
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
    assert "\n" not in message
    assert ("by SIGBUS: the model's files were cut short" in message) == (how == "bus_error")
    assert ("by SIGSEGV: native code failed" in message) == (how == "segfault")
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
    assert launcher.list_daemons() == []
    assert text_of(list(opened(write_script(tmp_path, FINE)).generate(request()))) == "fine again"


def test_one_that_cannot_be_started_says_why(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del folder
    asked = write_script(tmp_path, FINE)
    with pytest.raises(ModelError, match="no_such"):
        opened(asked, factory="gptterm.no_such_module:load")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with pytest.raises(launcher.DaemonError, match="cannot be started"):
        opened(asked)


def test_one_that_fails_before_its_first_client_comes_waits_to_say_why(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del folder
    launch = launcher.launch

    def and_dawdle(spec: DaemonSpec) -> bool:
        started = launch(spec)
        wait_until(
            lambda: (
                [one.status.state for one in launcher.list_daemons() if one.status] == ["failed"]
            )
        )
        return started

    monkeypatch.setattr(launcher, "launch", and_dawdle)
    with pytest.raises(ModelError, match="no_such"):
        opened(write_script(tmp_path, FINE), factory="gptterm.no_such_module:load")
    wait_until(lambda: not launcher.list_daemons())


def test_an_engine_that_does_not_answer_is_killed_and_replaced(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del folder
    asked = write_script(tmp_path, FINE)
    opened(asked).close()
    first = the_pid()
    os.kill(first, signal.SIGSTOP)
    monkeypatch.setattr(launcher, "_HANDSHAKE_TIMEOUT_S", 0.2)
    (found,) = launcher.list_daemons()
    assert found.status is not None
    assert (found.status.pid, found.status.state) == (first, "does not answer")
    engine = opened(asked)
    assert gone(first)
    assert text_of(list(engine.generate(request()))) == "fine again"


def spec_of(asked: LoadRequest, **limits: float) -> DaemonSpec:
    """A daemon's, with limits of its own."""
    return DaemonSpec(
        name=fingerprint.daemon_name(asked, FACTORY),
        fingerprint=fingerprint_of(asked),
        factory=FACTORY,
        request=asked,
        keep_alive_s=FOREVER,
        **limits,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (Fault(at="load", how="stall"), "scripted was not loaded within 2 s"),
        (Fault(at="prefill", how="stall", generation=0), "scripted wrote no token within 2 s"),
    ],
    ids=["load", "warm-up"],
)
def test_a_load_that_hangs_is_given_up(
    folder: Path, tmp_path: Path, fault: Fault, says: str
) -> None:
    asked = write_script(tmp_path, Script.saying("x", faults=(fault,)))
    # So long that the client is connected by then.
    assert launcher.launch(spec_of(asked, load_limit_s=2, warm_up_limit_s=2))
    pid = the_pid()
    with pytest.raises(ModelError, match=f"{says} and was given up; the log is /") as caught:
        opened(asked, None)
    assert "\n" not in str(caught.value)
    wait_until(lambda: gone(pid))
    assert not list(folder.glob("*.sock"))


def test_an_engine_whose_only_client_leaves_while_it_loads_ends(
    folder: Path, tmp_path: Path
) -> None:
    del folder
    fault = Fault(at="load", how="stall")
    asked = write_script(tmp_path, Script.saying("x", faults=(fault,)))
    daemon = launcher.attach(asked, FOREVER, factory=FACTORY)
    assert daemon is not None
    daemon.socket.close()
    wait_until(lambda: gone(daemon.pid))


def test_silent_connections_leave_room_for_clients(folder: Path, tmp_path: Path) -> None:
    asked = write_script(tmp_path, FINE)
    opened(asked).close()
    path = registry.socket_path(folder, fingerprint.daemon_name(asked, FACTORY))
    silent = [socket.socket(socket.AF_UNIX) for _ in range(400)]
    try:
        for connection in silent:
            connection.connect(str(path))
        assert text_of(list(opened(asked).generate(request()))) == "fine again"
    finally:
        for connection in silent:
            connection.close()


def test_stop_returns_when_the_process_has_ended(folder: Path, tmp_path: Path) -> None:
    del folder
    client = Client(write_script(tmp_path, ENDLESS))
    client.begin(request(max_tokens=10**6))
    wait_until(lambda: client.is_at(Token))
    (found,) = launcher.list_daemons()
    launcher.stop(found)
    assert gone(client.engine.connection.pid)


@pytest.mark.parametrize("limit", ["cancel", "stall"])
def test_an_engine_that_is_stuck_in_a_generation_ends_itself(
    folder: Path, tmp_path: Path, limit: str
) -> None:
    del folder
    fault = Fault(at="decode", how="stall", token=1, generation=1)
    asked = write_script(tmp_path, Script.saying("one two", faults=(fault,)))
    assert launcher.launch(
        spec_of(
            asked,
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
        assert b.engine.connection.pid != first
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
        # Its client has come, too: one that finds it ended would start another.
        wait_until(
            lambda: any(one.status and one.status.clients for one in launcher.list_daemons())
        )
        (found,) = launcher.list_daemons()
        assert found.status is not None
        assert found.status.state == "loading"
        pid = found.status.pid
        launcher.stop(found)
        assert isinstance(opening.error(), GpttermError)
    wait_until(lambda: gone(pid))
    # And one whose process does not even hear of it.
    opened(write_script(tmp_path, FINE)).close()
    (found,) = launcher.list_daemons()
    assert found.status is not None
    os.kill(found.status.pid, signal.SIGSTOP)
    monkeypatch.setattr(launcher, "_TERMINATE_TIMEOUT_S", 0.1)
    launcher.terminate(found.status.pid, folder, found.name, grace_s=0.1)
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
    registry.socket_path(folder, registry.names(folder)[0]).unlink()
    first = lost.connection.pid
    # The lock is still held; once the engine has noticed, another one can have it.
    wait_until(
        lambda: registry.lock_holder(folder, fingerprint.daemon_name(asked, FACTORY)) is None
    )
    second = opened(asked)
    assert second.connection.pid != first
    for engine in (lost, second):
        assert text_of(list(engine.generate(request()))) == "fine again"
    lost.close()
    wait_until(lambda: gone(first), "the lost engine to end")
    assert the_pid() == second.connection.pid


def test_a_log_neither_ends_an_engine_nor_grows_without_bound(folder: Path, tmp_path: Path) -> None:
    """Each failing request logs a traceback: to a device that is full, then to a file."""
    del folder
    faults = tuple(Fault(at="decode", how="raise", generation=number) for number in range(1, 5))
    asked = write_script(tmp_path, Script.saying("fine again", faults=faults))
    home = tmp_path / "home"
    home.mkdir()
    log = home / "engine.log"
    log.symlink_to("/dev/full")
    engine = opened(asked)
    for _ in range(3):
        assert "the script says so" in failure_of(list(engine.generate(request()))).message
    assert log.is_symlink()
    os.kill(the_pid(), signal.SIGKILL)
    wait_until(lambda: gone(engine.connection.pid))
    log.unlink()
    log.write_bytes(b"old\n" * LOG_LIMIT)
    engine = opened(asked)
    assert log.stat().st_size < LOG_LIMIT
    with log.open("ab") as file:  # native code
        file.write(b"old\n" * LOG_LIMIT)
    assert "the script says so" in failure_of(list(engine.generate(request()))).message
    assert log.stat().st_size < LOG_LIMIT
    assert "the script says so" in log.read_text()
