"""The `Engine` that a client of a warm engine holds. Synchronous, and light to import."""

import contextlib
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Generator

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
from gptterm.engine.ipc import LOCAL_ENGINE
from gptterm.engine.ipc.errors import describe, load_error
from gptterm.engine.ipc.protocol import (
    Cancel,
    Command,
    EventFrame,
    Fatal,
    Generate,
    Load,
    Loaded,
    LoadFailed,
    NextTokenResult,
    QueryFailed,
    QueryNextToken,
    QueryResult,
    QueryTokens,
    Report,
    SetSampling,
    TokensResult,
    Waiting,
    encode,
    report_reader,
)
from gptterm.errors import GpttermError, UsageError
from gptterm.paths import engine_log

_LOOK_S = 0.1
"""How often someone who waits for the engine looks whether they still want to."""
_CANCEL_S = 5.0
"""An engine that has not let go of a cancelled generation after so long is left alone."""


class ConnectionLostError(GpttermError):
    """The engine is gone; the message says what is known of its end."""


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
        on_wait: called with the number of other clients' generations that go before ours,
            whenever that is another one.
        interrupted: whether the user wants to end; looked at while nothing comes.

    Returns:
        None when there is none and none is to be started.

    Raises:
        ModelError: the engine cannot load the model.
        OutOfMemoryError: there is no room for it.
        GpttermError: no engine can be had this way.
    """
    engine = DaemonEngine(request, keep_alive_s, factory, on_wait, interrupted)
    try:
        return engine if engine.open() else None
    except BaseException:
        engine.close()
        raise


class DaemonEngine:
    """An `Engine` in another process. One thread uses it, but for `set_sampling`.

    For the arguments see `open_engine`, which makes it.
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
        self._on_wait = on_wait or _ignore
        self._interrupted = interrupted or _never
        self._connection: DaemonConnection | None = None
        self._frames = report_reader()
        self._received: deque[Report] = deque()
        self._events: deque[Event] = deque()
        """Of the running generation, come while an answer was waited for."""
        self._send_lock = threading.Lock()
        self._last_number = 0
        self._generation = 0
        """The id of the running one, or of the last."""
        self._info: ModelInfo | None = None

    @property
    def info(self) -> ModelInfo:
        """The model; `load_s` is how long this client waited for it."""
        assert self._info is not None
        return self._info

    @property
    def connection(self) -> DaemonConnection:
        """The engine's process and the way to it."""
        assert self._connection is not None
        return self._connection

    def open(self) -> bool:
        """Attach and wait for the model; False: there is no engine. Raises as `open_engine`."""
        self.close()
        since = time.perf_counter()
        daemon = attach(self._request, self._keep_alive_s, factory=self._factory)
        if daemon is None:
            return False
        self._connection = daemon
        self._frames = report_reader()
        self._received.clear()
        self._send(Load(request=self._request))
        info = self._loaded()
        self._info = as_requested(info, self._request, daemon.pid, time.perf_counter() - since)
        return True

    def _loaded(self) -> ModelInfo:
        while True:
            match self._next():
                case Loaded(info=info):
                    return info
                case LoadFailed(kind=kind, message=message):
                    raise load_error(kind, message, engine_log())
                case _:
                    pass  # progress

    def generate(self, request: GenerateRequest) -> Generator[Event, None, None]:
        """See `Engine.generate`. An engine that dies ends it with `Failed`.

        One that dies before it has begun is replaced, if engines are kept: another client may
        have been its end.
        """
        tally = EventTally(request)
        deadline = None
        number, begun, replaced = 0, False, False
        try:
            while not tally.done:
                try:
                    number = number or self._begin(request)
                    event = self._next_event(number, deadline)
                except ConnectionLostError as ended:
                    if begun or replaced:
                        raise
                    self._replace(ended)
                    number, replaced = 0, True
                    continue
                if event is not None:
                    begun = True
                    tally.add(event)
                    yield event
                elif deadline is None:  # interrupted: the engine still gives it an end
                    self._send(Cancel(id=number))
                    deadline = time.monotonic() + _CANCEL_S
                else:
                    yield from tally.cancel()
        except (GpttermError, OSError) as error:
            kind, message = describe(error)
            tally.add(failed := Failed(kind=kind, message=message))
            yield failed
        finally:
            self._let_go(number, tally)

    def set_sampling(self, sampling: SamplingParams) -> None:
        """See `Engine.set_sampling`."""
        with contextlib.suppress(ConnectionLostError):
            self._send(SetSampling(id=self._generation, sampling=sampling))

    def next_token(self, sampling: SamplingParams, limit: int = 20) -> NextToken | None:
        """See `Engine.next_token`. None, too, when another client has generated since.

        Raises:
            GpttermError: the engine ended, or cannot say.
        """
        call = self._number()
        self._send(QueryNextToken(call=call, sampling=sampling, limit=limit))
        answer = self._answer(call)
        assert isinstance(answer, NextTokenResult)
        return answer.distribution

    def tokenize(self, text: str) -> tuple[Piece, ...]:
        """See `Engine.tokenize`.

        Raises:
            UsageError: the text is not valid Unicode.
            GpttermError: the engine ended, or cannot say.
        """
        call = self._number()
        self._send(QueryTokens(call=call, text=text))
        answer = self._answer(call)
        assert isinstance(answer, TokensResult)
        return answer.pieces

    def close(self) -> None:
        """Leave the engine to itself."""
        if self._connection is not None:
            self._connection.socket.close()

    def _begin(self, request: GenerateRequest) -> int:
        """Send a generation off; return its id."""
        number = self._generation = self._number()
        self._events.clear()
        self._send(Generate(id=number, request=request))
        return number

    def _replace(self, ended: ConnectionLostError) -> None:
        """Go on with another engine, which may be another client's work already."""
        if not self.open():
            raise ended

    # -------------------------------------------------------------------------------- wire

    def _number(self) -> int:
        self._last_number += 1
        return self._last_number

    def _send(self, command: Command) -> None:
        try:
            data = encode(command)
        except UnicodeEncodeError as error:
            raise UsageError("the text is not valid Unicode: half a surrogate pair") from error
        except (ValueError, OverflowError) as error:
            raise UsageError(f"the request cannot be sent: {error}") from error
        try:
            with self._send_lock:
                self.connection.socket.sendall(data)
        except OSError as error:
            raise self._connection_lost() from error

    def _next(self, deadline: float | None = None, *, patient: bool = True) -> Report | None:
        """Wait for a report; None: interrupted (unless `patient`), or past the deadline."""
        poll = select.poll()
        poll.register(self.connection.socket, select.POLLIN)
        while not self._received:
            if not poll.poll(1000 * _LOOK_S):
                if deadline is not None and time.monotonic() >= deadline:
                    return None
                if not patient and self._interrupted():
                    return None
                continue
            try:
                data = self.connection.socket.recv(1 << 16)
                self._received += self._frames.feed(data)
            except OSError as error:
                raise self._connection_lost() from error
            except ValueError as error:
                raise ConnectionLostError(
                    f"what the warm engine said made no sense: {error}"
                ) from error
            if not data:
                raise self._connection_lost()
        report = self._received.popleft()
        if isinstance(report, Fatal):
            raise ConnectionLostError(f"{report.message}; its log is {engine_log()}")
        return report

    def _next_event(self, number: int, deadline: float | None = None) -> Event | None:
        """Wait for an event of a generation; None: interrupted, or past the deadline."""
        while not self._events:
            report = self._next(deadline, patient=deadline is not None)
            if report is None:
                return None
            self._note(report, number)
        return self._events.popleft()

    def _note(self, report: Report, number: int) -> None:
        match report:
            case EventFrame(id=of, event=event) if of == number:
                self._events.append(event)
            case Waiting(id=of, ahead=ahead) if of == number:
                self._on_wait(ahead)

    def _answer(self, call: int) -> QueryResult:
        while True:
            report = self._next()
            match report:
                case QueryFailed(call=of, message=message) if of == call:
                    raise GpttermError(message)
                case NextTokenResult(call=of) | TokensResult(call=of) if of == call:
                    return report
                case _ if report is not None:
                    self._note(report, self._generation)

    def _let_go(self, number: int, tally: EventTally) -> None:
        """Cancel a generation that has not ended, and read on until it has."""
        if tally.done:
            return
        deadline = time.monotonic() + _CANCEL_S
        with contextlib.suppress(ConnectionLostError):
            self._send(Cancel(id=number))
            while not tally.done:
                event = self._next_event(number, deadline)
                if event is None:
                    return  # its events come under an id that nobody asks for
                tally.add(event)

    def _connection_lost(self) -> ConnectionLostError:
        return ConnectionLostError(
            f"the warm engine (process {self.connection.pid}) ended; its log is {engine_log()}"
        )


def _ignore(_ahead: int) -> None:
    """Waiting that nobody wants to hear of."""


def _never() -> bool:
    return False
