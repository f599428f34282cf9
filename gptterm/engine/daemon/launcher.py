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
from gptterm.engine.daemon.fingerprint import family_of, name_of, runs_on, stamp_of
from gptterm.engine.daemon.handshake import AskStatus, EngineStatus, Hello
from gptterm.engine.ipc import LOCAL_ENGINE
from gptterm.errors import GpttermError
from gptterm.paths import engine_log

if TYPE_CHECKING:
    from gptterm.engine.daemon.server import Spec


_ANSWER_S = 3.0
"""An engine that does not answer a greeting for so long hangs: the thread that answers has
nothing else to do."""
_START_S = 60.0
"""The same while it imports torch, which no other thread gets past."""
_TRIES = 5
_LOOK_S = 0.005
_END_S = 3.0
"""An engine that was asked to end and is not gone after so long is killed."""


class WarmEngineError(GpttermError):
    """There is no warm engine to be had; the message says why."""


class Attached(NamedTuple):
    """A connection to an engine that has greeted us."""

    connection: socket.socket
    pid: int
    started: bool
    """It was started for us."""


class _Refused(NamedTuple):
    """What is to be done about an engine that did not take us in."""

    keep_alive_s: float | None
    """What an engine in its place is started with; None: it was ending, or died."""


def attach(
    request: LoadRequest, keep_alive_s: float | None, *, factory: str = LOCAL_ENGINE
) -> Attached | None:
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
    directory = registry.folder(make=keep_alive_s is not None)
    if directory is None:
        return None
    name, stamp = name_of(request, factory), stamp_of(request)
    hello = Hello(version=__version__, stamp=stamp, keep_alive_s=keep_alive_s)
    wanted, started = keep_alive_s, False
    for _ in range(_TRIES):
        at = _nearest(directory, name, request, factory)
        connection = _connect(directory, at)
        if connection is not None:
            answer = _greet(connection, hello, directory, at)
            if isinstance(answer, int):
                return Attached(connection, answer, started)
            connection.close()
            if answer.keep_alive_s is not None and wanted is None:
                wanted = answer.keep_alive_s
        elif wanted is None:
            return None
        if wanted is not None:
            from gptterm.engine.daemon.server import Spec

            spec = Spec(
                name=name, stamp=stamp, factory=factory, request=request, keep_alive_s=wanted
            )
            if launch(spec):
                started = True
            else:
                _wait_for_socket(directory, name)
    raise WarmEngineError(
        f"the warm engine ends as soon as it is started; its log is {engine_log()}"
    )


def _nearest(directory: Path, name: str, request: LoadRequest, factory: str) -> str:
    """The name of the engine to be used: the one for `request`, or one that does the same.

    Without torch nobody knows what `auto` means here; an engine that has loaded its model says.
    """
    if registry.socket_path(directory, name).exists():
        return name
    for found in _found(directory, family_of(request, factory)):
        if found.status is not None and runs_on(found.status, request):
            return found.name
    return name


def _connect(directory: Path, name: str) -> socket.socket | None:
    """Connect to an engine; None if nobody listens. A socket nobody listens on is removed."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(_ANSWER_S)
    path = registry.socket_path(directory, name)
    try:
        connection.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        connection.close()
        _clear(directory, name)
        return None
    except OSError as error:
        connection.close()
        # A full queue: the engine has not accepted anybody for long.
        if isinstance(error, TimeoutError | BlockingIOError):
            raise WarmEngineError(f"the warm engine does not answer ({path})") from error
        raise WarmEngineError(f"the warm engine cannot be reached: {error}") from error
    if not handshake.is_ours(connection):
        connection.close()
        raise registry.UnsafeFolderError(f"{path} is not this user's")
    return connection


def _clear(directory: Path, name: str) -> None:
    """Remove a stale socket, unless an engine is about to bind it anew."""
    path = registry.socket_path(directory, name)
    if not path.exists():
        return
    lock = registry.Lock.take(directory, name)
    if lock is not None:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        lock.release()


def _greet(connection: socket.socket, hello: Hello, directory: Path, name: str) -> "int | _Refused":
    """Return the engine's process id, or what is to be done about it.

    An engine that hangs, or talks of something else, is ended.
    """
    peer = handshake.peer_of(connection)
    try:
        handshake.send(connection, hello)
        try:
            welcome = handshake.receive(connection, handshake.WELCOME)
        except TimeoutError:
            holder = registry.holder(directory, name)
            if holder is None or holder.stage != "starting":
                raise
            connection.settimeout(_START_S)
            welcome = handshake.receive(connection, handshake.WELCOME)
    except TimeoutError:
        if peer is not None:
            end(peer.pid, directory, name, patience_s=0.0)
        return _Refused(None)
    except ValueError:
        if peer is not None:
            end(peer.pid, directory, name)
        return _Refused(None)
    except OSError:
        return _Refused(None)  # it was just ending
    if welcome.accepted:
        connection.settimeout(None)
        return welcome.pid
    return _Refused(welcome.keep_alive_s if welcome.outdated else None)


def launch(spec: "Spec") -> bool:
    """Start an engine's process; False: there is one of its name.

    Raises:
        WarmEngineError: it cannot be started.
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
        raise WarmEngineError(f"the warm engine cannot be started: {error}") from error
    if done.returncode not in (0, TAKEN):
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise WarmEngineError(f"the warm engine cannot be started: {words[-1]}")
    return done.returncode == 0


def _wait_for_socket(directory: Path, name: str) -> None:
    """Wait for the engine that has the lock to listen, or to let go of the lock again."""
    deadline = time.monotonic() + _ANSWER_S
    path = registry.socket_path(directory, name)
    while not path.exists() and registry.holder(directory, name) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)


def end(pid: int, directory: Path, name: str, patience_s: float = _END_S) -> None:
    """End an engine and wait until its name is free: in order at first, then by force."""
    if pid <= 1:  # of another pid namespace: to us, a group of processes or everybody
        return
    deadline = time.monotonic() + patience_s
    number = signal.SIGTERM if patience_s else signal.SIGKILL
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        while (holder := registry.holder(directory, name)) is not None and holder.pid == pid:
            if time.monotonic() >= deadline and number != signal.SIGKILL:
                number = signal.SIGKILL
                os.kill(pid, number)
            time.sleep(_LOOK_S)
    _clear(directory, name)


# ----------------------------------------------------------------------------------- all of them


class Found(NamedTuple):
    """An engine that has a socket."""

    name: str
    status: EngineStatus | None
    """None: it does not answer."""


def engines() -> list[Found]:
    """Ask all of the user's engines what they are and do; sockets of dead ones are removed.

    Raises:
        UnsafeFolderError: the folder is not safe.
    """
    directory = registry.folder(make=False)
    return [] if directory is None else _found(directory)


def _found(directory: Path, family: str = "") -> list[Found]:
    """The engines whose names begin with `family`."""
    found = []
    for name in registry.names(directory):
        with contextlib.suppress(WarmEngineError, OSError):
            connection = _connect(directory, name) if name.startswith(family) else None
            if connection is not None:
                with connection:
                    found.append(Found(name, _ask(connection)))
    return found


def _ask(connection: socket.socket) -> EngineStatus | None:
    peer = handshake.peer_of(connection)
    try:
        handshake.send(connection, AskStatus())
        return handshake.receive(connection, handshake.STATUS)
    except (OSError, ValueError):
        if peer is None:
            return None
        return EngineStatus(pid=peer.pid, state="does not answer")


def stop(found: Found) -> None:
    """End an engine, and wait until it has ended."""
    if found.status is not None:
        end(found.status.pid, registry.folder(), found.name)
