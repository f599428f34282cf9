"""Find, start, replace and stop daemons.

Imports nothing heavy: attaching to a running daemon takes milliseconds.
"""

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gptterm import __version__
from gptterm.engine.api import LoadRequest
from gptterm.engine.daemon import handshake, registry
from gptterm.engine.daemon.fingerprint import daemon_name, name_prefix, serves
from gptterm.engine.daemon.handshake import AskStatus, EngineStatus, Hello
from gptterm.engine.ipc import LOCAL_ENGINE
from gptterm.engine.runtime.fingerprint import fingerprint_of
from gptterm.errors import GpttermError
from gptterm.paths import engine_log

if TYPE_CHECKING:
    from gptterm.engine.daemon.server import DaemonSpec


_HANDSHAKE_TIMEOUT_S = 3.0
"""A daemon that has not answered by then hangs: its listening thread does nothing else."""
_STARTUP_TIMEOUT_S = 60.0
"""The same while it imports torch, which blocks all its threads."""
_MAX_ATTEMPTS = 5
_POLL_S = 0.005
_TERMINATE_TIMEOUT_S = 3.0
"""A daemon that has not exited by then, after SIGTERM, is killed."""


class DaemonError(GpttermError):
    """No warm engine can be used; the message says why."""


class DaemonConnection(NamedTuple):
    """A connection to a daemon, after the handshake."""

    socket: socket.socket
    pid: int
    started: bool
    """The daemon was started for this connection."""


class _Rejection(NamedTuple):
    """Outcome of a handshake without a connection."""

    keep_alive_s: float | None
    """Keep-alive time that the daemon's successor inherits; None: it was exiting, or died."""


def attach(
    request: LoadRequest, keep_alive_s: float | None, *, factory: str = LOCAL_ENGINE
) -> DaemonConnection | None:
    """Connect to the daemon for `request`; start one if there is none and `keep_alive_s` is set.

    A daemon of another version, or whose model's files have changed since, is replaced. One that
    hangs is killed; a dead one's socket is removed.

    Args:
        keep_alive_s: how long the daemon stays without a client; None: none is started, and a
            running one keeps its own time.

    Returns:
        None when there is no daemon and none is to be started.

    Raises:
        GpttermError: it cannot be started, or the directory of the sockets is not safe.
        OSError: the model's files are gone.
    """
    directory = registry.socket_directory(make=keep_alive_s is not None)
    if directory is None:
        return None
    name, fingerprint = daemon_name(request, factory), fingerprint_of(request)
    hello = Hello(version=__version__, fingerprint=fingerprint, keep_alive_s=keep_alive_s)
    started = False
    for _ in range(_MAX_ATTEMPTS):
        running = _resolve_name(directory, name, request, factory)
        connection = _connect(directory, running)
        if connection is not None:
            answer = _handshake(connection, hello, directory, running)
            if isinstance(answer, int):
                return DaemonConnection(connection, answer, started)
            connection.close()
            if keep_alive_s is None:
                keep_alive_s = answer.keep_alive_s
        elif keep_alive_s is None:
            return None
        if keep_alive_s is not None:
            from gptterm.engine.daemon.server import DaemonSpec

            spec = DaemonSpec(
                name=name,
                fingerprint=fingerprint,
                factory=factory,
                request=request,
                keep_alive_s=keep_alive_s,
            )
            if launch(spec):
                started = True
            else:
                _wait_for_socket(directory, name)
    raise DaemonError(f"the warm engine ends as soon as it is started; its log is {engine_log()}")


def _resolve_name(directory: Path, name: str, request: LoadRequest, factory: str) -> str:
    """Return the name of the daemon to use: `name`, or a running one that serves the request.

    What `auto` resolves to takes torch to know; a daemon that has loaded its model reports it.
    """
    if registry.socket_path(directory, name).exists():
        return name
    for daemon in _probe(directory, name_prefix(request, factory)):
        if daemon.status is not None and serves(daemon.status, request):
            return daemon.name
    return name


def _connect(directory: Path, name: str) -> socket.socket | None:
    """Connect to a daemon; None if none listens. A stale socket is removed."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_HANDSHAKE_TIMEOUT_S)
    path = registry.socket_path(directory, name)
    try:
        _await_room(lambda: connection.connect(str(path)))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        _remove_stale_socket(directory, name)
        return None
    except OSError as error:
        connection.close()
        # The queue is full: the daemon has not accepted a connection for long.
        if isinstance(error, TimeoutError | BlockingIOError):
            raise DaemonError(f"the warm engine does not answer ({path})") from error
        raise DaemonError(f"the warm engine cannot be reached: {error}") from error
    if not handshake.is_same_user(connection):
        connection.close()
        raise registry.UnsafeDirectoryError(f"{path} is not this user's")
    return connection


def _await_room(connect: Callable[[], None]) -> None:
    """Connect, as soon as the queue of a daemon's socket has room.

    Raises:
        OSError: the connection fails; BlockingIOError if the queue stays full.
    """
    deadline = time.monotonic() + _HANDSHAKE_TIMEOUT_S
    while True:
        try:
            return connect()
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_POLL_S)


def _remove_stale_socket(directory: Path, name: str) -> None:
    """Remove a stale socket, unless a daemon is about to bind it anew."""
    path = registry.socket_path(directory, name)
    if not path.exists():
        return
    lock = registry.Lock.try_acquire(directory, name)
    if lock is not None:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        lock.release()


def _handshake(
    connection: socket.socket, hello: Hello, directory: Path, name: str
) -> "int | _Rejection":
    """Return the daemon's process id, or its rejection.

    A daemon that hangs, or does not speak the protocol, is terminated.
    """
    peer = handshake.peer_credentials(connection)
    try:
        handshake.send(connection, hello)
        try:
            welcome = handshake.receive(connection, handshake.WELCOME)
        except TimeoutError:
            holder = registry.lock_holder(directory, name)
            if holder is None or holder.stage != "starting":
                raise
            connection.settimeout(_STARTUP_TIMEOUT_S)
            welcome = handshake.receive(connection, handshake.WELCOME)
    except TimeoutError:
        if peer is not None:
            terminate(peer.pid, directory, name, grace_s=0.0)
        return _Rejection(None)
    except ValueError:
        if peer is not None:
            terminate(peer.pid, directory, name)
        return _Rejection(None)
    except OSError:
        return _Rejection(None)  # it was exiting
    if welcome.accepted:
        connection.settimeout(None)
        return welcome.pid
    return _Rejection(welcome.keep_alive_s if welcome.outdated else None)


def launch(spec: "DaemonSpec") -> bool:
    """Start a daemon; False: one of its name is running.

    Raises:
        DaemonError: it cannot be started.
    """
    # Slow to import, and a daemon usually runs already.
    import subprocess

    from gptterm.engine.daemon.server import TAKEN
    from gptterm.engine.runtime.python_child import python_command, python_environment

    try:
        done = subprocess.run(
            python_command("gptterm.engine.daemon.server"),
            input=msgspec.msgpack.encode(spec),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=python_environment(),
            check=False,
        )
    except OSError as error:
        raise DaemonError(f"the warm engine cannot be started: {error}") from error
    if done.returncode not in (0, TAKEN):
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise DaemonError(f"the warm engine cannot be started: {lines[-1]}")
    return done.returncode == 0


def _wait_for_socket(directory: Path, name: str) -> None:
    """Wait until the holder of the lock listens, or has released the lock."""
    deadline = time.monotonic() + _HANDSHAKE_TIMEOUT_S
    path = registry.socket_path(directory, name)
    while (
        not path.exists() and registry.lock_holder(directory, name) and time.monotonic() < deadline
    ):
        time.sleep(_POLL_S)


def terminate(pid: int, directory: Path, name: str, grace_s: float = _TERMINATE_TIMEOUT_S) -> None:
    """Stop a daemon and wait until it has ended: SIGTERM first, then SIGKILL."""
    if pid <= 1:  # of another pid namespace: to kill(), a process group or every process
        return
    deadline = time.monotonic() + grace_s
    number = signal.SIGTERM if grace_s else signal.SIGKILL
    with contextlib.suppress(ProcessLookupError), _watched(pid) as ended:
        os.kill(pid, number)
        while not ended():
            if time.monotonic() >= deadline and number != signal.SIGKILL:
                number = signal.SIGKILL
                os.kill(pid, number)
            time.sleep(_POLL_S)
    _remove_stale_socket(directory, name)


@contextlib.contextmanager
def _watched(pid: int) -> Iterator[Callable[[], bool]]:
    """Watch a process that is no child of ours; yields a function that tells whether it has ended.

    Raises:
        ProcessLookupError: there is no such process.
    """
    if not hasattr(os, "pidfd_open"):
        yield lambda: not _is_running(pid)
        return
    descriptor = os.pidfd_open(pid)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    try:
        yield lambda: bool(poll.poll(0))
    finally:
        os.close(descriptor)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# ---------------------------------------------------------------------------------- all daemons


class Daemon(NamedTuple):
    """A daemon that listens."""

    name: str
    status: EngineStatus | None
    """None: it does not answer."""


def list_daemons() -> list[Daemon]:
    """Return all of the user's daemons with their status; stale sockets are removed.

    Raises:
        UnsafeDirectoryError: the directory of the sockets is not safe.
    """
    directory = registry.socket_directory(make=False)
    return [] if directory is None else _probe(directory)


def _probe(directory: Path, prefix: str = "") -> list[Daemon]:
    """Return the daemons whose names begin with `prefix`."""
    daemons = []
    for name in registry.names(directory):
        with contextlib.suppress(DaemonError, OSError):
            connection = _connect(directory, name) if name.startswith(prefix) else None
            if connection is not None:
                with connection:
                    daemons.append(Daemon(name, _query_status(connection)))
    return daemons


def _query_status(connection: socket.socket) -> EngineStatus | None:
    peer = handshake.peer_credentials(connection)
    try:
        handshake.send(connection, AskStatus())
        return handshake.receive(connection, handshake.STATUS)
    except (OSError, ValueError):
        if peer is None:
            return None
        return EngineStatus(pid=peer.pid, state="does not answer")


def stop(daemon: Daemon) -> None:
    """Stop a daemon and wait until it has exited."""
    if daemon.status is not None:
        terminate(daemon.status.pid, registry.socket_directory(), daemon.name)
