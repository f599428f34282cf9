"""Asyncio shell of the client protocol: one engine process, from connect to exit."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from socket import socket
from typing import Protocol, Self, TypeVar, cast

from gptterm.engine.api import Failed, LoadRequest, ModelInfo
from gptterm.engine.ipc.client_protocol import (
    ClientProtocol,
    ConnectionLostError,
    EventQueue,
    Generation,
    Pending,
    ProtocolError,
)
from gptterm.engine.ipc.protocol import LoadProgress
from gptterm.errors import FailureKind, ModelError, OutOfMemoryError

T = TypeVar("T")
E = TypeVar("E")

HIGH_WATER = 4096
"""Unconsumed events above which the socket is not read, so that the engine waits."""
LOW_WATER = 1024
RECEIVED = 1 << 16
"""Bytes read at once. A plain protocol is given a new object of 256 KiB for each read, which takes
longer to allocate than a token takes to handle."""
_EXIT_TIMEOUT_S = 1.0
"""Limit on the time by which the process may outlive its socket, or the socket the process."""


class Process(Protocol):
    """The process at the other end: a child of ours, or a daemon that others use too."""

    stopped: str
    """Beginning of the failure message when this client ended it."""

    @property
    def pid(self) -> int: ...

    @property
    def running(self) -> bool:
        """Whether `wait` would block."""
        ...

    async def wait(self) -> int:
        """Wait for its exit; return the exit code, or minus the number of the signal."""
        ...

    def connection_lost(self) -> None:
        """Notice that its socket has closed."""
        ...

    def kill(self) -> None:
        """End it, as far as it is ours."""
        ...

    def describe_exit(self, code: int, activity: str) -> tuple[FailureKind, str]:
        """Describe in one line an exit that this client did not cause."""
        ...


class Connection(asyncio.BufferedProtocol):
    """Connection to a running process. When that has exited, `failure` says why.

    Commands are encoded by `protocol` and sent by `send` or `result`.

    Args:
        process: the process at the other end.
        log: the process's log.
        on_wait: called with the number of generations ahead of ours, when there are some.
    """

    def __init__(
        self, process: Process, log: Path, on_wait: Callable[[int], None] | None = None
    ) -> None:
        self.closed = asyncio.Event()
        """Set with `failure`, once the process has been waited for."""
        self.killed = False
        """It has been killed, but perhaps not waited for yet."""
        self._process = process
        self._on_wait = on_wait
        self._on_progress: Callable[[LoadProgress], None] | None = None
        self.protocol = ClientProtocol(log)
        self._transport: asyncio.Transport | None = None
        self._received = memoryview(bytearray(RECEIVED))
        self._disconnected = asyncio.Event()
        self._kill_reason: str | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._watcher = asyncio.create_task(self._watch())

    @classmethod
    async def open(
        cls,
        process: Process,
        ours: socket,
        log: Path,
        on_wait: Callable[[int], None] | None = None,
    ) -> Self:
        """Connect over our end of a process's socket, and take ownership of it.

        Raises:
            OSError: it cannot be used.
        """
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_unix_connection(
                lambda: cls(process, log, on_wait), sock=ours
            )
        except BaseException:
            ours.close()  # the process ends with it
            raise
        return connection

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def failure(self) -> Failed | None:
        """Why the process is gone; None while it runs."""
        return self.protocol.failure

    # ---------------------------------------------------------------------------- commands

    async def load(
        self, request: LoadRequest, on_progress: Callable[[LoadProgress], None]
    ) -> ModelInfo:
        """Load a model; see `EngineClient.load`."""
        loading, command = self.protocol.load(request)
        self._on_progress = on_progress
        if self.protocol.progress is not None:
            on_progress(self.protocol.progress)
        try:
            return await self.result(loading, command)
        except ConnectionLostError as error:
            kind = self.failure.kind if self.failure is not None else "internal"
            lost = OutOfMemoryError if kind == "out_of_memory" else ModelError
            raise lost(str(error)) from error
        except asyncio.CancelledError:
            self.kill("its load was cancelled")
            raise
        finally:
            self._on_progress = None

    async def next_event(self, queue: EventQueue[E]) -> E | None:
        """Wait for the next event of a generation or an inspection; None after the last."""
        if not queue.events:
            await self._wait_until(lambda: bool(queue.events) or queue.done)
        if not queue.events:
            return None
        event = queue.events.popleft()
        if len(queue.events) == LOW_WATER:
            self._regulate()
        return event

    async def wait_for_end(self, generation: Generation) -> None:
        """Wait until a generation's last event has arrived."""
        await self._wait_until(lambda: generation.done)

    async def result(self, pending: Pending[T], command: bytes) -> T:
        """Send a command and wait for its answer."""
        self.send(command)
        await self._wait_until(lambda: pending.done)
        return pending.result()

    def send(self, command: bytes) -> None:
        """Send a command. Does nothing when the process is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(command)
        self._regulate()  # its answer may come behind events that nobody consumes

    async def _wait_until(self, is_reached: Callable[[], bool]) -> None:
        """Wait for a condition that only received data or a lost connection can change."""
        while not is_reached():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    # ---------------------------------------------------------------------------- receiving

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio when the socket is ready."""
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 (asyncio's name)
        """Called by asyncio for room for what the process wrote."""
        return self._received

    def buffer_updated(self, nbytes: int) -> None:
        """Called by asyncio when so much of the room is filled."""
        try:
            notifications = self.protocol.receive_data(self._received[:nbytes])
        except ProtocolError as error:
            self.kill(str(error))
            return
        for notification in notifications:
            if isinstance(notification, LoadProgress):
                if self._on_progress is not None:
                    self._on_progress(notification)
            elif self._on_wait is not None:
                self._on_wait(notification.ahead)
        self._wake()
        self._regulate()

    def _regulate(self) -> None:
        """Pause reading while unconsumed events pile up, so that the engine waits."""
        if self._transport is None:
            return
        backlog = self.protocol.backlog
        if backlog > HIGH_WATER:
            self._transport.pause_reading()
        elif backlog <= LOW_WATER:
            self._transport.resume_reading()

    # --------------------------------------------------------------------------------- end

    def connection_lost(self, error: Exception | None) -> None:
        """Called by asyncio when the socket has closed."""
        del error
        self._disconnected.set()
        self._process.connection_lost()

    def close(self) -> None:
        """Let the process exit by itself; `closed` is set when it has."""
        self._kill_reason = "it was closed"
        if self.protocol.state in ("ready", "generating"):
            self.send(self.protocol.close())
        elif self._transport is not None:
            # It may be deep in a load; without its socket it ends at once.
            self._transport.abort()

    def kill(self, reason: str) -> None:
        """End the process at once, as far as it is ours."""
        if self._process.running:
            self._kill_reason = self._kill_reason or reason
            self.killed = True
            self._process.kill()

    async def _watch(self) -> None:
        """Wait for the process's exit and the last bytes it wrote; then fail what is open."""
        exited = asyncio.create_task(self._process.wait())
        disconnected = asyncio.create_task(self._disconnected.wait())
        await asyncio.wait((exited, disconnected), return_when=asyncio.FIRST_COMPLETED)
        if self._transport is not None:
            self._transport.resume_reading()
        await asyncio.wait((exited, disconnected), timeout=_EXIT_TIMEOUT_S)
        self.kill("it closed its socket")
        if self._transport is not None:
            self._transport.abort()
        code = await exited
        self.protocol.connection_lost(*self._describe_end(code))
        self._wake()
        self.closed.set()
        await disconnected

    def _describe_end(self, code: int) -> tuple[FailureKind, str]:
        activity = self.protocol.activity
        if self._kill_reason is not None:
            return "internal", f"{self._process.stopped} {activity}: {self._kill_reason}"
        return self._process.describe_exit(code, activity)
