"""Sans-I/O core of the engine's clients: protocol state, commands to bytes, bytes to results.

The core does not read, write, wait or look at a clock. A shell sends the bytes that a command
returns, passes what it receives to `receive_data`, and reports the end of the connection with
`connection_lost`. Each command that is answered returns a handle, which collects its answer:
`Generation`, `Inspection` or `Pending`. The shells are `gptterm.engine.ipc.connection` (asyncio)
and `gptterm.engine.daemon.sync_client` (a blocking socket).
"""

from collections import deque
from pathlib import Path
from typing import Generic, Literal, TypeVar

from gptterm.engine.api import (
    Event,
    Failed,
    Finished,
    GenerateRequest,
    LoadRequest,
    ModelInfo,
    NextToken,
    Piece,
    SamplingParams,
    Token,
)
from gptterm.engine.inspection.answers import InspectionEvent, is_last
from gptterm.engine.inspection.requests import InspectionRequest
from gptterm.engine.ipc.errors import load_error
from gptterm.engine.ipc.protocol import (
    Cancel,
    Close,
    Command,
    EventFrame,
    Fatal,
    Generate,
    InspectionFrame,
    LeaveCore,
    Load,
    Loaded,
    LoadFailed,
    LoadProgress,
    NextTokenResult,
    QueryFailed,
    QueryInspection,
    QueryNextToken,
    QueryTokens,
    Report,
    SetSampling,
    StopInspection,
    TokensResult,
    Waiting,
    encode,
    report_reader,
)
from gptterm.errors import FailureKind, GpttermError, UsageError, error_of

T = TypeVar("T")
E = TypeVar("E")
State = Literal["unloaded", "loading", "ready", "generating", "closed"]
Notification = LoadProgress | Waiting
"""A report that is not the answer to a command."""


class ProtocolError(GpttermError):
    """The engine sent bytes that are not a report."""


class ConnectionLostError(GpttermError):
    """The engine is gone; kind and message say why, as far as is known."""

    def __init__(self, failure: Failed) -> None:
        super().__init__(failure.message)
        self.kind = failure.kind
        self.exit_code = error_of(failure.kind, failure.message).exit_code


class Pending(Generic[T]):
    """Outcome of a command with a single answer."""

    def __init__(self) -> None:
        self.done = False
        self._outcome: T | GpttermError

    def set(self, outcome: T | GpttermError) -> None:
        """Set the value or the error; only the first counts."""
        if not self.done:
            self.done, self._outcome = True, outcome

    def result(self) -> T:
        """Return the value, or raise the error, of a command that is `done`."""
        if isinstance(self._outcome, GpttermError):
            raise self._outcome
        return self._outcome


class EventQueue(Generic[E]):
    """Events of a command that is answered by several.

    Attributes:
        events: received and not consumed yet.
        done: the last event has been received.
        begun: an event has been received, other than a failure.
    """

    def __init__(self) -> None:
        self.events: deque[E] = deque()
        self.done = False
        self.begun = False


class Inspection(EventQueue[InspectionEvent]):
    """Event queue of one inspection."""

    def __init__(self, call: int) -> None:
        super().__init__()
        self.call = call

    def add(self, event: InspectionEvent) -> None:
        """Queue an event."""
        self.begun = self.begun or not isinstance(event, Failed)
        self.done = is_last(event)
        self.events.append(event)


class Generation(EventQueue[Event]):
    """Event queue of one generation.

    Attributes:
        decoding: a token has been received.
        cancelled: a cancel has been sent.
        discarded: the consumer has left.
    """

    def __init__(self, generation_id: int, samples: int) -> None:
        super().__init__()
        self.id = generation_id
        self.decoding = False
        self.cancelled = False
        self.discarded = False
        self._unfinished = samples

    def add(self, event: Event) -> None:
        """Queue an event; none follows the last `Finished`, or a `Failed`."""
        if self.done:
            return
        self.begun = self.begun or not isinstance(event, Failed)
        self.decoding = self.decoding or isinstance(event, Token)
        self._unfinished -= isinstance(event, Finished)
        self.done = isinstance(event, Failed) or self._unfinished == 0
        if not self.discarded:
            self.events.append(event)

    def discard(self) -> None:
        """Drop the queued events and those to come: the consumer has left."""
        self.discarded = True
        self.events.clear()


class ClientProtocol:
    """One connection to an engine. Loads, generations and queries may be open at the same time.

    Commands raise:
        ConnectionLostError: the connection has been lost.
        UsageError: the command cannot be encoded.

    Args:
        log: the engine's log, which messages refer to.
    """

    def __init__(self, log: Path) -> None:
        self.failure: Failed | None = None
        """Why the connection was lost; None while it is up."""
        self.progress: LoadProgress | None = None
        """The last one received."""
        self._log = log
        self._reader = report_reader()
        self._last_id = 0
        self._has_model = False
        self._model_name = ""
        self._fatal: str | None = None
        self._load: Pending[ModelInfo] | None = None
        self._generations: dict[int, Generation] = {}
        self._next_tokens: dict[int, Pending[NextToken | None]] = {}
        self._tokens: dict[int, Pending[tuple[Piece, ...]]] = {}
        self._inspections: dict[int, Inspection] = {}

    # ------------------------------------------------------------------------------- state

    @property
    def state(self) -> State:
        """The state of the connection and the engine's model."""
        if self.failure is not None:
            return "closed"
        if self._load is not None:
            return "loading"
        if self._generations:
            return "generating"
        return "ready" if self._has_model else "unloaded"

    @property
    def activity(self) -> str:
        """Activity of the engine, in words that complete "the engine ended"."""
        if self._load is not None:
            return f"while it loaded {self._model_name}"
        if self._generations:
            decoding = any(generation.decoding for generation in self._generations.values())
            return "in the middle of a reply" if decoding else "while it read the prompt"
        return "while it was idle" if self._has_model else "before it had loaded a model"

    @property
    def backlog(self) -> int:
        """Number of events for back-pressure to act on.

        0 while a query is open, an inspection waits or a cancelled generation ends: what they wait
        for comes behind the events.
        """
        inspections = [len(inspection.events) for inspection in self._inspections.values()]
        if self._next_tokens or self._tokens or not all(inspections):
            return 0
        generations = (len(g.events) for g in self._generations.values() if not g.cancelled)
        return sum(generations) + sum(inspections)

    # ---------------------------------------------------------------------------- commands

    def load(self, request: LoadRequest) -> tuple[Pending[ModelInfo], bytes]:
        """Load a model.

        Raises:
            GpttermError: another load is under way.
        """
        if self._load is not None:
            raise GpttermError("another model is being loaded")
        data = self._encode(Load(request=request))
        self._load = Pending()
        self._model_name, self._has_model = request.source.name, False
        return self._load, data

    def generate(self, request: GenerateRequest) -> tuple[Generation, bytes]:
        """Begin a generation."""
        generation = Generation(self._next_id(), request.samples)
        data = self._encode(Generate(id=generation.id, request=request))
        self._generations[generation.id] = generation
        return generation, data

    def cancel(self, generation: Generation) -> bytes:
        """Cancel a generation; its remaining events still arrive."""
        generation.cancelled = True
        return self._encode(Cancel(id=generation.id))

    def set_sampling(self, generation: Generation, sampling: SamplingParams) -> bytes:
        """Change a generation's samplers from its next token on. Thread-safe."""
        return self._encode(SetSampling(id=generation.id, sampling=sampling))

    def leave_core(self, seconds: float) -> bytes:
        """Have the engine compute on a core less for a time."""
        return self._encode(LeaveCore(seconds=seconds))

    def next_token(
        self, sampling: SamplingParams, limit: int
    ) -> tuple[Pending[NextToken | None], bytes]:
        """Query the next-token distribution."""
        call = self._next_id()
        data = self._encode(QueryNextToken(call=call, sampling=sampling, limit=limit))
        pending = self._next_tokens[call] = Pending[NextToken | None]()
        return pending, data

    def tokenize(self, text: str) -> tuple[Pending[tuple[Piece, ...]], bytes]:
        """Query the tokens of a text."""
        call = self._next_id()
        data = self._encode(QueryTokens(call=call, text=text))
        pending = self._tokens[call] = Pending[tuple[Piece, ...]]()
        return pending, data

    def inspect(self, request: InspectionRequest) -> tuple[Inspection, bytes]:
        """Begin an inspection."""
        inspection = Inspection(self._next_id())
        data = self._encode(QueryInspection(call=inspection.call, request=request))
        self._inspections[inspection.call] = inspection
        return inspection, data

    def stop_inspection(self, inspection: Inspection) -> bytes:
        """End an inspection, of which no further event arrives."""
        del self._inspections[inspection.call]
        return self._encode(StopInspection(call=inspection.call))

    def close(self) -> bytes:
        """Ask the engine to end; of an engine that others use, to end the connection."""
        return self._encode(Close())

    def _next_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def _encode(self, command: Command) -> bytes:
        if self.failure is not None:
            raise ConnectionLostError(self.failure)
        try:
            return encode(command)
        except UnicodeEncodeError as error:
            raise UsageError("the text is not valid Unicode: it has a lone surrogate") from error
        except (ValueError, OverflowError) as error:
            raise UsageError(f"the request cannot be sent: {error}") from error

    # ----------------------------------------------------------------------------- reports

    def receive_data(self, data: bytes | memoryview) -> list[Notification]:
        """Pass received bytes on to the handles; return the notifications among them.

        Reports that belong to no open command are dropped.

        Raises:
            ProtocolError: the bytes are not a report. The connection is of no use any more.
        """
        notifications: list[Notification] = []
        try:
            for report in self._reader.feed(data):
                self._receive(report, notifications)
        except ValueError as error:
            raise ProtocolError(f"protocol error from the engine: {error}") from error
        return notifications

    def _receive(self, report: Report, notifications: list[Notification]) -> None:
        match report:
            case EventFrame():
                self._add_event(report.id, report.event)
            case Waiting():
                if report.id in self._generations:
                    notifications.append(report)
            case LoadProgress():
                self.progress = report
                notifications.append(report)
            case Loaded(info=info):
                self._end_load(info)
            case LoadFailed():
                self._end_load(load_error(report.kind, report.message, self._log))
            case NextTokenResult(call=call):
                if next_token := self._next_tokens.pop(call, None):
                    next_token.set(report.distribution)
            case TokensResult(call=call):
                if tokens := self._tokens.pop(call, None):
                    tokens.set(report.pieces)
            case InspectionFrame():
                self._add_inspection_event(report.call, report.event)
            case QueryFailed(call=call):
                self._fail_query(call, report.message)
            case Fatal():
                self._fatal = report.message

    def _add_event(self, generation_id: int, event: Event) -> None:
        generation = self._generations.get(generation_id)
        if generation is not None:
            generation.add(event)
            if generation.done:
                del self._generations[generation_id]

    def _add_inspection_event(self, call: int, event: InspectionEvent) -> None:
        inspection = self._inspections.get(call)
        if inspection is not None:
            inspection.add(event)
            if inspection.done:
                del self._inspections[call]

    def _fail_query(self, call: int, message: str) -> None:
        if call in self._next_tokens:
            self._next_tokens.pop(call).set(GpttermError(message))
        elif call in self._tokens:
            self._tokens.pop(call).set(GpttermError(message))
        else:
            self._add_inspection_event(call, Failed(kind="internal", message=message))

    def _end_load(self, outcome: ModelInfo | GpttermError) -> None:
        if self._load is not None:
            self._has_model = isinstance(outcome, ModelInfo)
            self._load.set(outcome)
            self._load = None

    def connection_lost(self, kind: FailureKind, message: str) -> None:
        """Close the connection: every open command fails.

        A fatal error that the engine has reported takes the place of the shell's message.
        """
        if self.failure is not None:
            return
        if self._fatal is not None:
            kind, message = "internal", f"{self._fatal}; its log is {self._log}"
        self.failure = Failed(kind=kind, message=message)
        self._end_load(ConnectionLostError(self.failure))
        for distribution in self._next_tokens.values():
            distribution.set(ConnectionLostError(self.failure))
        for pieces in self._tokens.values():
            pieces.set(ConnectionLostError(self.failure))
        for generation in self._generations.values():
            generation.add(self.failure)
        for inspection in self._inspections.values():
            inspection.add(self.failure)
        self._inspections.clear()
        self._generations.clear()
        self._next_tokens.clear()
        self._tokens.clear()
