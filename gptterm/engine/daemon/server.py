"""The process of a warm engine: `python -m gptterm.engine.daemon.server`, `DaemonSpec` on stdin.

It takes the lock, listens, and lets go of whoever started it (exit code 0: the socket is there;
`TAKEN`: an engine of that name is there already). The thread that the engine lives in is the main
one; another one hears of clients, signals and the clock, and each client has one of its own.
"""

import contextlib
import faulthandler
import os
import select
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import NoReturn

import msgspec

from gptterm import __version__
from gptterm.engine.api import LoadRequest
from gptterm.engine.daemon import handshake, registry
from gptterm.engine.daemon.handshake import AskStatus, EngineStatus, Welcome
from gptterm.engine.ipc.client_channel import ClientChannel
from gptterm.engine.ipc.protocol import Loaded, LoadFailed
from gptterm.engine.ipc.worker import Worker
from gptterm.engine.runtime.log import bound_log, open_log, write_output_to_log
from gptterm.engine.runtime.model_files import weights_size
from gptterm.paths import engine_log
from gptterm.terminal import one_line

TAKEN = 75
"""Exit code, EX_TEMPFAIL of sysexits.h."""

_BACKLOG = 4 << 20
"""Unsent bytes from which on a client's generation is paused: more than most replies, so that one
piped to `less` is generated to its end."""
_CLIENTS = 256
"""Maximum number of connections; further ones are refused."""
_GREETING_S = 10.0
"""Seconds that a connection may be silent before its handshake."""
_GREETINGS = 32
"""Maximum number of connections before their handshake; the oldest one makes room for another."""
_UNVISITED_S = 60.0
"""Seconds within which the client that has started the process connects."""
_BYTES_PER_S = 20_000_000
"""Speed of a slow disk, at which weights are loaded and read for the first time at the latest."""
_LAST_WORDS_S = 1.0


class DaemonSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Arguments of a warm engine's start."""

    name: str
    """See `fingerprint.daemon_name`."""
    fingerprint: str
    factory: str
    request: LoadRequest
    keep_alive_s: float
    rows: int = 16
    """Sequences decoded together: on two cores 16 rows of GPT-2 124M (int8) take 34 ms, 1 row 9."""
    cancel_limit_s: float = 20.0
    """The process exits if a generation has not ended so long after its cancel."""
    stall_limit_s: float = 300.0
    """The process exits if no generation has progressed for so long."""
    load_limit_s: float = 90.0
    """The same for a load, with time for the size of the weights added."""
    warm_up_limit_s: float = 60.0
    """The same for the first tokens."""
    look_s: float = 30.0
    """Most seconds between two checks of whether it hangs and its socket still exists; native code
    that holds the interpreter lock may last so much longer."""


class Server:
    """Accepts clients, and ends the process when it is no longer needed.

    Args:
        spec: what is served.
        directory: the folder of the socket, which is the process's as long as it has the lock.
    """

    def __init__(self, spec: DaemonSpec, directory: Path, lock: registry.Lock) -> None:
        self._spec = spec
        self._lock: registry.Lock | None = lock
        self._path = registry.socket_path(directory, spec.name)
        self._socket = self._bind()
        self._inode = self._path.stat().st_ino
        self._begun = time.monotonic()
        self._keep_alive_s = spec.keep_alive_s
        self._clients_lock = threading.Lock()
        self._greeting: dict[socket.socket, None] = {}
        """Connections whose handshake is not complete, the oldest first."""
        self._slack_s = 0.0
        """Time for the size of the weights."""
        self._clients = 0
        self._idle_since = self._begun
        self._visited = threading.Event()
        """Set once a client was accepted."""
        self._ended = threading.Event()
        """Set when the engine's thread is done."""

    def _bind(self) -> socket.socket:
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()  # stale, since the lock is ours
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            listener.bind(str(self._path))
        finally:
            os.umask(mask)
        listener.listen(_CLIENTS)
        return listener

    def run(self) -> NoReturn:
        """Serve until the end of the process."""
        # Again, in the daemon: the kernel reports the process that called it last as the peer.
        self._socket.listen(_CLIENTS)
        self._socket.setblocking(False)
        wakeup = self._hear_signals()
        model = msgspec.structs.replace(
            self._spec.request,
            # The first client's notices on how the model was found do not concern others.
            source=msgspec.structs.replace(self._spec.request.source, notices=()),
        )
        source = self._spec.request.source
        size = weights_size(Path(source.directory), source.gguf_file)
        self._slack_s = size / _BYTES_PER_S
        self._worker = Worker(self._spec.factory, self._leave, self._spec.rows)
        threading.Thread(target=self._listen, args=(wakeup,), daemon=True).start()
        self._say("started")
        self._worker.import_engine()
        self._worker.load_fixed(model)
        self._tell_loaded()
        self._worker.run()
        self._ended.set()
        threading.Event().wait()  # the listening thread ends the process
        raise AssertionError

    def _hear_signals(self) -> int:
        """Return a descriptor that becomes readable on SIGTERM and SIGINT.

        Python's signal handlers do not run while the main thread is in native code.
        """
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        return reader

    def _tell_loaded(self) -> None:
        """Log the result of the load, and retire if it has failed."""
        loaded = self._worker.loaded
        if isinstance(loaded, LoadFailed):
            # The client that has started the daemon is about to connect, and must be told.
            self._visited.wait(_GREETING_S)
            self._retire(f"cannot load its model: {loaded.message}")
        elif isinstance(loaded, Loaded):
            with self._clients_lock:
                if self._lock is not None:
                    self._lock.write("ready")
            self._say(f"loaded {loaded.info.name} in {loaded.info.load_s:.2f} s")

    # -------------------------------------------------------------------- listening thread

    def _listen(self, wakeup: int) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        poll.register(wakeup, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll(1000 * self._patience_s())}
            if wakeup in ready:
                self._stop("was asked to end")
            if self._socket.fileno() in ready:
                self._accept()
            self._check()

    def _patience_s(self) -> float:
        """Seconds until the next time-out that no event announces."""
        if self._worker.generations.busy or self._worker.loaded is None:
            return 0.5
        with self._clients_lock:
            if self._greeting:
                return 0.1
            if self._clients:
                return 1.0
            if self._lock is None:
                return 0.0
            left = self._idle_since + self._keep_alive_s - time.monotonic()
        return min(max(left, 0.0) + 0.01, self._spec.look_s)

    def _check(self) -> None:
        """End the process if it hangs, was idle for long enough or cannot be found any more."""
        # For native code that holds the interpreter lock: no thread of Python's runs then.
        faulthandler.dump_traceback_later(
            self._spec.stall_limit_s + self._slack_s + self._spec.look_s, exit=True
        )
        self._limit_preparation()
        bound_log(sys.stderr.fileno())  # native code writes to it without the stream
        if self._worker.generations.stuck(self._spec.cancel_limit_s, self._spec.stall_limit_s):
            faulthandler.dump_traceback()
            self._say("hangs, and ends")
            self._leave(1)
        if self._lock is not None and not self._can_be_found():
            self._retire("cannot be found any more: its socket was removed")
        with self._clients_lock:
            if self._clients:
                return
            greeting_somebody = bool(self._greeting)
            idle = time.monotonic() - self._idle_since >= self._keep_alive_s
        if self._worker.loaded is None and self._visited.is_set() and not greeting_somebody:
            self._stop("was left while it loaded its model")
        if not self._visited.is_set() and time.monotonic() - self._begun > _UNVISITED_S:
            self._stop("was left by the command that started it")
        if self._lock is not None and self._worker.loaded is not None and idle:
            self._retire(f"was without a client for {self._keep_alive_s:g} s")
        elif self._lock is None and not greeting_somebody:
            self._stop("has served its last client")

    def _limit_preparation(self) -> None:
        """End the process if its model takes too long to be loaded or warmed up."""
        preparation = self._worker.preparation
        if preparation is None:
            return
        stage, seconds = preparation
        spec = self._spec
        limit = self._slack_s + (spec.load_limit_s if stage == "load" else spec.warm_up_limit_s)
        if seconds < limit:
            return
        faulthandler.dump_traceback()
        done = "was not loaded" if stage == "load" else "wrote no token"
        message = (
            f"{one_line(spec.request.source.name)} {done} within {limit:.0f} s and was given up"
        )
        self._retire(message)
        self._worker.refuse_load(f"{message}; the log is {engine_log()}")
        self._leave(1)

    def _can_be_found(self) -> bool:
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:
            return False

    def _accept(self) -> None:
        """Accept all pending connections."""
        while True:
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                return
            except OSError:
                time.sleep(0.1)  # out of file descriptors, until others are closed
                return
            with self._clients_lock:
                if self._clients < _CLIENTS and handshake.is_same_user(connection):
                    if len(self._greeting) >= _GREETINGS:
                        self._drop_oldest_greeting()
                    self._greeting[connection] = None
                    threading.Thread(target=self._serve, args=(connection,), daemon=True).start()
                    continue
            connection.close()

    def _drop_oldest_greeting(self) -> None:
        oldest = next(iter(self._greeting))
        del self._greeting[oldest]
        with contextlib.suppress(OSError):
            oldest.shutdown(socket.SHUT_RDWR)  # its thread closes it

    def _retire(self, why: str) -> None:
        """Accept no more clients, release the name, and end with the last client."""
        with self._clients_lock:
            if self._lock is None:
                return
            self._say(f"retires: {why}")
            if self._can_be_found():
                self._path.unlink()
            self._lock.release()
            self._lock = None

    def _stop(self, why: str) -> NoReturn:
        """End the process gracefully: generations fail with the reason."""
        self._retire(why)
        self._worker.stop(f"the warm engine {why}")
        self._ended.wait(_LAST_WORDS_S)
        self._leave(0)

    def _leave(self, code: int) -> NoReturn:
        """End the process at once, after clients had a moment to read the last reports."""
        self._say("ends")
        deadline = time.monotonic() + _LAST_WORDS_S
        for channel in self._worker.scheduler.channels:
            channel.send_buffer.flush(max(0.0, deadline - time.monotonic()))
        if self._lock is not None and self._can_be_found():
            self._path.unlink()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    # --------------------------------------------------------------------- clients' threads

    def _serve(self, connection: socket.socket) -> None:
        """Do the handshake on a connection, and serve it if it is accepted."""
        stays = False
        try:
            connection.settimeout(_GREETING_S)
            stays = self._greet(connection)
            connection.settimeout(None)
        except (OSError, ValueError):
            pass  # not a client
        finally:
            with self._clients_lock:
                self._greeting.pop(connection, None)
                self._clients += stays
        if not stays:
            connection.close()
            return
        self._visited.set()
        try:
            self._worker.serve(ClientChannel(connection, backlog=_BACKLOG))
        finally:
            with self._clients_lock:
                self._clients -= 1
                self._idle_since = time.monotonic()

    def _greet(self, connection: socket.socket) -> bool:
        word = handshake.receive(connection, handshake.CLIENT_MESSAGES)
        if isinstance(word, AskStatus):
            handshake.send(connection, self._status())
            return False
        outdated = word.fingerprint != self._spec.fingerprint
        accepted = not outdated and self._lock is not None
        keep_alive_s = self._keep_alive_s
        if outdated:
            self._retire(f"a client of version {one_line(word.version)} needs another one")
        elif word.keep_alive_s is not None:
            self._keep_alive_s = word.keep_alive_s
        welcome = Welcome(
            accepted=accepted,
            outdated=outdated,
            pid=os.getpid(),
            version=__version__,
            keep_alive_s=keep_alive_s,
        )
        handshake.send(connection, welcome)
        return accepted

    def _status(self) -> EngineStatus:
        source, loaded = self._spec.request.source, self._worker.loaded
        info = loaded.info if isinstance(loaded, Loaded) else None
        state = "generating" if self._worker.generations.busy else "idle"
        if info is None:
            state = "loading" if loaded is None else "failed"
        now = time.monotonic()
        return EngineStatus(
            pid=os.getpid(),
            version=__version__,
            state=state,
            model=source.name,
            directory=str(Path(source.directory, source.gguf_file or "")),
            device=info.device if info else self._spec.request.device,
            dtype=info.dtype if info else self._spec.request.dtype,
            asked_device=self._spec.request.device,
            asked_dtype=self._spec.request.dtype,
            kv_dtype=self._spec.request.kv_dtype,
            context=self._spec.request.context,
            adapters=self._spec.request.adapters,
            clients=self._clients,
            waiting=self._worker.scheduler.waiting,
            generations=self._worker.generations.count,
            uptime_s=now - self._begun,
            keep_alive_s=self._keep_alive_s,
            idle_s=0.0 if self._clients else now - self._idle_since,
            memory=handshake.resident_memory(),
        )

    def _say(self, what: str) -> None:
        """Write a line to the log."""
        when = time.strftime("%Y-%m-%d %H:%M:%S")
        name = one_line(self._spec.request.source.name)
        print(f"{when} engine {os.getpid()} of {name}: {what}", file=sys.stderr, flush=True)  # noqa: T201


def main() -> NoReturn:
    """Start an engine."""
    spec = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=DaemonSpec)
    try:
        directory = registry.socket_directory()
        lock = _take_lock(directory, spec.name)
        if lock is None:
            sys.exit(TAKEN)
        lock.write("starting")
        server = Server(spec, directory, lock)
    except (registry.UnsafeDirectoryError, OSError) as error:
        sys.exit(f"{error}")
    # Before any heavy import and any thread.
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.umask(0o077)
    lock.write("starting")  # with the daemon's process id
    log = open_log(engine_log())
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    write_output_to_log()
    faulthandler.enable()
    server.run()


def _take_lock(directory: Path, name: str) -> registry.Lock | None:
    """Acquire the lock, which others hold for a moment when they check whether it is free."""
    for _ in range(10):
        lock = registry.Lock.try_acquire(directory, name)
        if lock is not None:
            return lock
        time.sleep(0.005)
    return None


if __name__ == "__main__":
    main()
