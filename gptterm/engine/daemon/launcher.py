"""Finds warm engines, starts them, replaces those that are of no use, and ends them.

Nothing heavy is imported: from here to an engine that is there is a matter of milliseconds.
"""

import contextlib
import os
import signal
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from gptterm import __version__
from gptterm.engine.api import LoadRequest
from gptterm.engine.daemon import handshake, registry
from gptterm.engine.daemon.fingerprint import daemon_name, fingerprint_of, name_prefix, serves
from gptterm.engine.daemon.handshake import AskStatus, EngineStatus, Hello
from gptterm.engine.ipc import LOCAL_ENGINE
from gptterm.errors import GpttermError
from gptterm.paths import engine_log

if TYPE_CHECKING:
    from gptterm.engine.daemon.server import DaemonSpec


_HANDSHAKE_TIMEOUT_S = 3.0
"""An engine that does not answer a greeting for so long hangs: the thread that answers has
nothing else to do."""
_STARTUP_TIMEOUT_S = 60.0
"""The same while it imports torch, which no other thread gets past."""
_MAX_ATTEMPTS = 5
_POLL_S = 0.005
_TERMINATE_TIMEOUT_S = 3.0
"""An engine that was asked to end and is not gone after so long is killed."""


class DaemonError(GpttermError):
    """There is no warm engine to be had; the message says why."""


class DaemonConnection(NamedTuple):
    """A connection to an engine that has greeted us."""

    socket: socket.socket
    pid: int
    started: bool
    """It was started for us."""


class _Rejected(NamedTuple):
    """What is to be done about an engine that did not take us in."""

    keep_alive_s: float | None
    """What an engine in its place is started with; None: it was ending, or died."""


def attach(
    request: LoadRequest, keep_alive_s: float | None, *, factory: str = LOCAL_ENGINE
) -> DaemonConnection | None:
    """Attach to the engine for `request`, if there is one or one is to be kept.

    One of another version, or whose model's files have changed since, is replaced. One that is
    dead or hangs is cleared away.

    Args:
        keep_alive_s: how long the engine is to stay without a client; None: none is started,
            and one that is there stays as long as it was told.

    Returns:
        None when there is no engine and none is to be started.

    Raises:
        GpttermError: it cannot be started, or its folder is not safe.
        OSError: the model's files are gone.
    """
    directory = registry.socket_directory(make=keep_alive_s is not None)
    if directory is None:
        return None
    name, fingerprint = daemon_name(request, factory), fingerprint_of(request)
    hello = Hello(version=__version__, fingerprint=fingerprint, keep_alive_s=keep_alive_s)
    wanted, started = keep_alive_s, False
    for _ in range(_MAX_ATTEMPTS):
        at = _resolve_name(directory, name, request, factory)
        connection = _connect(directory, at)
        if connection is not None:
            answer = _handshake(connection, hello, directory, at)
            if isinstance(answer, int):
                return DaemonConnection(connection, answer, started)
            connection.close()
            if answer.keep_alive_s is not None and wanted is None:
                wanted = answer.keep_alive_s
        elif wanted is None:
            return None
        if wanted is not None:
            from gptterm.engine.daemon.server import DaemonSpec

            spec = DaemonSpec(
                name=name,
                fingerprint=fingerprint,
                factory=factory,
                request=request,
                keep_alive_s=wanted,
            )
            if launch(spec):
                started = True
            else:
                _wait_for_socket(directory, name)
    raise DaemonError(f"the warm engine ends as soon as it is started; its log is {engine_log()}")


def _resolve_name(directory: Path, name: str, request: LoadRequest, factory: str) -> str:
    """The name of the engine to be used: the one for `request`, or one that does the same.

    Without torch nobody knows what `auto` means here; an engine that has loaded its model says.
    """
    if registry.socket_path(directory, name).exists():
        return name
    for daemon in _probe(directory, name_prefix(request, factory)):
        if daemon.status is not None and serves(daemon.status, request):
            return daemon.name
    return name


def _connect(directory: Path, name: str) -> socket.socket | None:
    """Connect to an engine; None if nobody listens. A socket nobody listens on is removed."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_HANDSHAKE_TIMEOUT_S)
    path = registry.socket_path(directory, name)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        _remove_stale_socket(directory, name)
        return None
    except OSError as error:
        connection.close()
        # A full queue: the engine has not accepted anybody for long.
        if isinstance(error, TimeoutError | BlockingIOError):
            raise DaemonError(f"the warm engine does not answer ({path})") from error
        raise DaemonError(f"the warm engine cannot be reached: {error}") from error
    if not handshake.is_ours(connection):
        connection.close()
        raise registry.UnsafeDirectoryError(f"{path} is not this user's")
    return connection


def _remove_stale_socket(directory: Path, name: str) -> None:
    """Remove a stale socket, unless an engine is about to bind it anew."""
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
) -> "int | _Rejected":
    """Return the engine's process id, or what is to be done about it.

    An engine that hangs, or talks of something else, is ended.
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
        return _Rejected(None)
    except ValueError:
        if peer is not None:
            terminate(peer.pid, directory, name)
        return _Rejected(None)
    except OSError:
        return _Rejected(None)  # it was just ending
    if welcome.accepted:
        connection.settimeout(None)
        return welcome.pid
    return _Rejected(welcome.keep_alive_s if welcome.outdated else None)


def launch(spec: "DaemonSpec") -> bool:
    """Start an engine's process; False: there is one of its name.

    Raises:
        DaemonError: it cannot be started.
    """
    # Both take a while to import, and an engine is there as a rule.
    import subprocess
    import sys

    from gptterm.engine.daemon.server import TAKEN

    try:
        done = subprocess.run(
            # -P: the working directory's files are the user's, not modules of ours.
            [sys.executable, "-P", "-u", "-m", "gptterm.engine.daemon.server"],
            input=msgspec.msgpack.encode(spec),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            # What this process can import, that one can.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            check=False,
        )
    except OSError as error:
        raise DaemonError(f"the warm engine cannot be started: {error}") from error
    if done.returncode not in (0, TAKEN):
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise DaemonError(f"the warm engine cannot be started: {words[-1]}")
    return done.returncode == 0


def _wait_for_socket(directory: Path, name: str) -> None:
    """Wait for the engine that has the lock to listen, or to let go of the lock again."""
    deadline = time.monotonic() + _HANDSHAKE_TIMEOUT_S
    path = registry.socket_path(directory, name)
    while (
        not path.exists() and registry.lock_holder(directory, name) and time.monotonic() < deadline
    ):
        time.sleep(_POLL_S)


def terminate(pid: int, directory: Path, name: str, grace_s: float = _TERMINATE_TIMEOUT_S) -> None:
    """End an engine and wait until its name is free: in order at first, then by force."""
    if pid <= 1:  # of another pid namespace: to us, a group of processes or everybody
        return
    deadline = time.monotonic() + grace_s
    number = signal.SIGTERM if grace_s else signal.SIGKILL
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        while (holder := registry.lock_holder(directory, name)) is not None and holder.pid == pid:
            if time.monotonic() >= deadline and number != signal.SIGKILL:
                number = signal.SIGKILL
                os.kill(pid, number)
            time.sleep(_POLL_S)
    _remove_stale_socket(directory, name)


# ----------------------------------------------------------------------------------- all of them


class Daemon(NamedTuple):
    """An engine that has a socket."""

    name: str
    status: EngineStatus | None
    """None: it does not answer."""


def list_daemons() -> list[Daemon]:
    """Query all of the user's engines what they are and do; sockets of dead ones are removed.

    Raises:
        UnsafeDirectoryError: the folder is not safe.
    """
    directory = registry.socket_directory(make=False)
    return [] if directory is None else _probe(directory)


def _probe(directory: Path, family: str = "") -> list[Daemon]:
    """The engines whose names begin with `family`."""
    daemons = []
    for name in registry.names(directory):
        with contextlib.suppress(DaemonError, OSError):
            connection = _connect(directory, name) if name.startswith(family) else None
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
    """End an engine, and wait until it has ended."""
    if daemon.status is not None:
        terminate(daemon.status.pid, registry.socket_directory(), daemon.name)
