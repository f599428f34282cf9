"""Synchronous client of a warm engine: an `Engine` over a blocking socket. Light to import."""

import contextlib
import select
import threading
import time
from collections.abc import Callable, Generator
from typing import TypeVar

from gptterm.engine.api import (
    Event,
    Failed,
    GenerateRequest,
    LoadRequest,
    ModelInfo,
    NextToken,
    Piece,
    SamplingParams,
)
from gptterm.engine.daemon.fingerprint import as_requested
from gptterm.engine.daemon.launcher import DaemonConnection, attach
from gptterm.engine.generation.event_tally import EventTally
from gptterm.engine.inspection.answers import InspectionEvent
from gptterm.engine.inspection.requests import InspectionRequest
from gptterm.engine.ipc import LOCAL_ENGINE
from gptterm.engine.ipc.client_protocol import (
    ClientProtocol,
    ConnectionLostError,
    EventQueue,
    Generation,
    Inspection,
    Pending,
    ProtocolError,
)
from gptterm.engine.ipc.errors import describe
from gptterm.engine.ipc.exits import ExitWitness
from gptterm.engine.ipc.protocol import Waiting
from gptterm.errors import GpttermError
from gptterm.paths import engine_log

T = TypeVar("T")
E = TypeVar("E")

_POLL_S = 0.1
"""Interval at which `interrupted` is polled while nothing arrives."""
_CANCEL_TIMEOUT_S = 5.0
"""Limit on the wait for the end of a cancelled generation."""


def open_engine(
    request: LoadRequest,
    keep_alive_s: float | None,
    *,
    factory: str = LOCAL_ENGINE,
    on_wait: Callable[[int], None] | None = None,
    interrupted: Callable[[], bool] | None = None,
) -> "DaemonEngine | None":
    """Attach to the warm engine for `request`, and wait until its model is loaded.

    Args:
        keep_alive_s, factory: see `attach`.
        on_wait: called with the number of other clients' generations ahead of ours when it
            changes.
        interrupted: whether the user wants to stop; polled while nothing arrives.

    Returns:
        None when there is none and none is to be started.

    Raises:
        ModelError: the engine cannot load the model.
        OutOfMemoryError: there is no room for it.
        GpttermError: the engine cannot be started, or ended while it loaded.
    """
    engine = DaemonEngine(request, keep_alive_s, factory, on_wait, interrupted)
    try:
        return engine if engine.open() else None
    except BaseException:
        engine.close()
        raise


class DaemonEngine:
    """An `Engine` in a daemon. For one thread, except `set_sampling`.

    Made by `open_engine`, which describes the arguments.
    """

    def __init__(
        self,
        request: LoadRequest,
        keep_alive_s: float | None,
        factory: str,
        on_wait: Callable[[int], None] | None,
        interrupted: Callable[[], bool] | None,
    ) -> None:
        self._request = request
        self._keep_alive_s = keep_alive_s
        self._factory = factory
        self._on_wait = on_wait
        self._interrupted = interrupted
        self._connection: DaemonConnection | None = None
        self._protocol = ClientProtocol(engine_log())
        self._witness = ExitWitness(engine_log())
        self._generation: Generation | None = None
        self._send_lock = threading.Lock()
        self._info: ModelInfo | None = None

    @property
    def info(self) -> ModelInfo:
        """The model; `load_s` is how long this client waited for it."""
        assert self._info is not None
        return self._info

    @property
    def connection(self) -> DaemonConnection:
        """The connection to the daemon."""
        assert self._connection is not None
        return self._connection

    def open(self) -> bool:
        """Attach and wait for the model; False: there is no daemon. Raises as `open_engine`."""
        self.close()
        since = time.perf_counter()
        daemon = attach(self._request, self._keep_alive_s, factory=self._factory)
        if daemon is None:
            return False
        self._connection = daemon
        self._witness = ExitWitness(engine_log())
        self._protocol = ClientProtocol(engine_log())
        info = self._result(*self._protocol.load(self._request))
        self._info = as_requested(info, self._request, daemon.pid, time.perf_counter() - since)
        return True

    def close(self) -> None:
        """Disconnect; the daemon stays."""
        if self._connection is not None:
            self._connection.socket.close()

    def generate(self, request: GenerateRequest) -> Generator[Event, None, None]:
        """See `Engine.generate`. A daemon that dies ends the generation with `Failed`.

        One that dies before the first event is replaced, if daemons are kept: another client may
        have stopped it.
        """
        tally = EventTally(request)
        self._generation = None
        try:
            try:
                yield from self._generate(request, tally)
            except ConnectionLostError:
                if self._has_begun() or not self.open():
                    raise
                yield from self._generate(request, tally)
        except (GpttermError, OSError) as error:
            kind, message = describe(error)
            yield Failed(kind=kind, message=message)

    def _has_begun(self) -> bool:
        return self._generation is not None and self._generation.begun

    def _generate(
        self, request: GenerateRequest, tally: EventTally
    ) -> Generator[Event, None, None]:
        generation, data = self._protocol.generate(request)
        self._generation = generation
        self._send(data)
        deadline = None
        try:
            while not tally.done:
                event = self._next_event(generation, deadline)
                if event is not None:
                    tally.add(event)
                    yield event
                elif deadline is None:  # interrupted: the engine still sends the ends
                    self._send(self._protocol.cancel(generation))
                    deadline = time.monotonic() + _CANCEL_TIMEOUT_S
                else:
                    yield from tally.cancel()
        finally:
            if not tally.done and not generation.done:
                self._abandon(generation)

    def _next_event(self, queue: EventQueue[E], deadline: float | None = None) -> E | None:
        """Wait for an event; None: past the deadline or, without one, interrupted."""
        while not queue.events:
            if not self._receive(deadline, interruptible=deadline is None):
                return None
        event = queue.events.popleft()
        if isinstance(event, Failed) and event is self._protocol.failure:
            raise ConnectionLostError(event)
        return event

    def _abandon(self, generation: Generation) -> None:
        """Cancel a generation that is not consumed to its end, and wait for that."""
        generation.discard()
        self._send(self._protocol.cancel(generation))
        deadline = time.monotonic() + _CANCEL_TIMEOUT_S
        while not generation.done and self._receive(deadline):
            pass

    def set_sampling(self, sampling: SamplingParams) -> None:
        """See `Engine.set_sampling`."""
        generation = self._generation
        if generation is not None and not generation.done:
            with contextlib.suppress(ConnectionLostError, OSError):
                self._write(self._protocol.set_sampling(generation, sampling))

    def next_token(self, sampling: SamplingParams, limit: int = 20) -> NextToken | None:
        """See `Engine.next_token`. None, too, once other clients' texts fill the prefix caches.

        Raises:
            GpttermError: the daemon ended, or the query failed.
        """
        return self._result(*self._protocol.next_token(sampling, limit))

    def tokenize(self, text: str) -> tuple[Piece, ...]:
        """See `Engine.tokenize`.

        Raises:
            UsageError: the text is not valid Unicode.
            GpttermError: the daemon ended, or the query failed.
        """
        return self._result(*self._protocol.tokenize(text))

    def inspect(self, request: InspectionRequest) -> Generator[InspectionEvent, None, None]:
        """See `InspectableEngine.inspect`. A daemon that dies is replaced, as in `generate`."""
        inspection: Inspection | None = None
        try:
            for attempt in range(2):
                try:
                    inspection, data = self._protocol.inspect(request)
                    yield from self._inspect(inspection, data)
                    return
                except ConnectionLostError:
                    begun = inspection is not None and inspection.begun
                    if attempt or begun or not self.open():
                        raise
        except (GpttermError, OSError) as error:
            kind, message = describe(error)
            yield Failed(kind=kind, message=message)

    def _inspect(
        self, inspection: Inspection, command: bytes
    ) -> Generator[InspectionEvent, None, None]:
        self._send(command)
        try:
            while not inspection.done or inspection.events:
                event = self._next_event(inspection)
                if event is None:
                    raise GpttermError("interrupted")
                yield event
        finally:
            if not inspection.done:
                self._send(self._protocol.stop_inspection(inspection))

    # --------------------------------------------------------------------------------- I/O

    def _result(self, pending: Pending[T], command: bytes) -> T:
        """Send a command and wait for its answer."""
        self._send(command)
        while not pending.done:
            self._receive()
        return pending.result()

    def _write(self, data: bytes) -> None:
        with self._send_lock:
            self.connection.socket.sendall(data)

    def _send(self, data: bytes) -> None:
        try:
            self._write(data)
        except OSError:
            self._connection_lost()

    def _receive(self, deadline: float | None = None, *, interruptible: bool = False) -> bool:
        """Wait for data and process it; False: past the deadline, or interrupted."""
        poll = select.poll()
        poll.register(self.connection.socket, select.POLLIN)
        while not poll.poll(1000 * _POLL_S):
            if deadline is not None and time.monotonic() >= deadline:
                return False
            if interruptible and self._interrupted is not None and self._interrupted():
                return False
        try:
            data = self.connection.socket.recv(1 << 16)
            notifications = self._protocol.receive_data(data)
        except OSError:
            data, notifications = b"", []
        except ProtocolError as error:
            self._protocol.connection_lost("internal", str(error))
            return True
        if not data:
            self._connection_lost()
        for notification in notifications:
            if isinstance(notification, Waiting) and self._on_wait is not None:
                self._on_wait(notification.ahead)
        return True

    def _connection_lost(self) -> None:
        kind, message = self._witness.describe_daemon(self.connection.pid)
        self._protocol.connection_lost(kind, message)
