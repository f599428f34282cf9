"""One life of the engine's process, seen from the client: its socket, its answers, its death."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from socket import socket
from typing import Protocol, Self, cast

from gptterm.engine.api import (
    Failed,
    GenerateRequest,
    LoadRequest,
    ModelInfo,
    SamplingParams,
)
from gptterm.engine.ipc.errors import load_error
from gptterm.engine.ipc.event_stream import HIGH_WATER, LOW_WATER, EventStream
from gptterm.engine.ipc.protocol import (
    Close,
    Command,
    EventFrame,
    Fatal,
    Generate,
    Load,
    Loaded,
    LoadFailed,
    LoadProgress,
    QueryFailed,
    QueryNextToken,
    QueryResult,
    QueryTokens,
    Report,
    Waiting,
    encode,
    report_reader,
)
from gptterm.errors import FailureKind, GpttermError, ModelError, OutOfMemoryError, UsageError

_HANG_UP_S = 1.0
"""How long the process may outlive its socket, and its socket the process."""


class Process(Protocol):
    """What is at the other end: a child of ours, or an engine that others use too."""

    stopped: str
    """What is said of it when its end was our doing."""

    @property
    def pid(self) -> int: ...

    @property
    def running(self) -> bool:
        """Whether its end has not been told of yet."""
        ...

    async def wait(self) -> int:
        """Wait for its end; the exit code, or minus the number of the signal."""
        ...

    def connection_lost(self) -> None:
        """Its socket has closed."""
        ...

    def kill(self) -> None:
        """End it, as far as it is ours."""
        ...

    def describe_exit(self, code: int, doing: str) -> tuple[FailureKind, str]:
        """One line about an end that was not our doing."""
        ...


class Connection(asyncio.Protocol):
    """A running process. `death` tells that it is gone, and of what.

    Args:
        process: what is at the other end.
        log: where that writes.
        on_wait: called with the number of generations that go before ours, when there are some.
    """

    def __init__(
        self, process: Process, log: Path, on_wait: Callable[[int], None] | None = None
    ) -> None:
        self.death: Failed | None = None
        self.buried = asyncio.Event()
        """Set with `death`, when the process has been waited for."""
        self._process = process
        self._log = log
        self._on_wait = on_wait
        self._frames = report_reader()
        self._transport: asyncio.Transport | None = None
        self._hung_up = asyncio.Event()
        self._why_killed: str | None = None
        self._last_words: str | None = None
        self._loading: asyncio.Future[ModelInfo] | None = None
        self._model = ""
        self._loaded = False
        self._stage: LoadProgress | None = None
        self._on_progress: Callable[[LoadProgress], None] | None = None
        self._stream: EventStream | None = None
        self._asked: dict[int, asyncio.Future[QueryResult]] = {}
        self._last_number = 0
        self._watcher = asyncio.create_task(self._watch())

    @classmethod
    async def open(
        cls,
        process: Process,
        ours: socket,
        log: Path,
        on_wait: Callable[[int], None] | None = None,
    ) -> Self:
        """Talk to a process over our end of its socket, which is the connection's from here on.

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

    # --------------------------------------------------------------------------- commands

    def send(self, command: Command) -> None:
        """Write a command; nothing happens when the process is gone.

        Raises:
            UsageError: it cannot be written down.
        """
        try:
            data = encode(command)
        except UnicodeEncodeError as error:
            raise UsageError("the text is not valid Unicode: half a surrogate pair") from error
        except (ValueError, OverflowError) as error:
            raise UsageError(f"the request cannot be sent: {error}") from error
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def load(
        self, request: LoadRequest, on_progress: Callable[[LoadProgress], None]
    ) -> ModelInfo:
        """Have a model loaded; see `EngineClient.load`."""
        if self._loading is not None:
            raise GpttermError("another model is being loaded")
        self.send(Load(request=request))
        self._loading = asyncio.get_running_loop().create_future()
        self._model, self._loaded = request.source.name, False
        self._on_progress = on_progress
        if self._stage is not None:
            on_progress(self._stage)
        try:
            info = await self._loading
        except asyncio.CancelledError:
            self.kill("its load was given up")
            raise
        finally:
            self._loading = self._on_progress = None
        self._loaded = True
        return info

    def begin(self, request: GenerateRequest) -> EventStream:
        """Have a generation begun.

        Raises:
            UsageError: the request cannot be written down.
        """
        self._last_number += 1
        stream = EventStream(self, self._last_number, request)
        self.send(Generate(id=stream.number, request=request))
        self._stream = stream
        return stream

    async def ask_next_token(self, sampling: SamplingParams, limit: int) -> QueryResult:
        """Query for the next token's distribution."""
        self._last_number += 1
        return await self._ask(
            QueryNextToken(call=self._last_number, sampling=sampling, limit=limit)
        )

    async def ask_tokens(self, text: str) -> QueryResult:
        """Query for the tokens of a text."""
        self._last_number += 1
        return await self._ask(QueryTokens(call=self._last_number, text=text))

    async def _ask(self, ask: QueryNextToken | QueryTokens) -> QueryResult:
        answer: asyncio.Future[QueryResult] = asyncio.get_running_loop().create_future()
        self.send(ask)
        self._asked[ask.call] = answer
        self.regulate()
        try:
            return await answer
        finally:
            del self._asked[ask.call]
            self.regulate()

    # ---------------------------------------------------------------------------- reports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio when the socket is ready."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio with what the process wrote."""
        try:
            reports = self._frames.feed(data)
        except ValueError as error:
            self.kill(f"what it said made no sense: {error}")
            return
        for report in reports:
            self._receive(report)
        self.regulate()

    def _receive(self, report: Report) -> None:
        match report:
            case EventFrame(id=number, event=event):
                if self._stream is not None and self._stream.number == number:
                    self._stream.push(event)
            case Waiting(ahead=ahead):
                if self._on_wait is not None:
                    self._on_wait(ahead)
            case Fatal(message=message):
                self._last_words = message
            case LoadProgress():
                self._stage = report
                if self._on_progress is not None:
                    self._on_progress(report)
            case Loaded(info=info):
                if self._loading is not None and not self._loading.done():
                    self._loading.set_result(info)
            case LoadFailed():
                self._fail_load(load_error(report.kind, report.message, self._log))
            case _:
                answer = self._asked.get(report.call)
                if answer is None or answer.done():
                    return
                if isinstance(report, QueryFailed):
                    answer.set_exception(GpttermError(report.message))
                else:
                    answer.set_result(report)

    def _fail_load(self, error: GpttermError) -> None:
        if self._loading is not None and not self._loading.done():
            self._loading.set_exception(error)

    def regulate(self) -> None:
        """Read the socket, or leave it be while the events pile up.

        While an answer is awaited it is read all the same: the answer comes behind the events.
        """
        if self._transport is None:
            return
        backlog = 0 if self._stream is None or self._asked else self._stream.backlog
        if backlog > HIGH_WATER:
            self._transport.pause_reading()
        elif backlog <= LOW_WATER:
            self._transport.resume_reading()

    # ------------------------------------------------------------------------------ death

    def connection_lost(self, error: Exception | None) -> None:
        """Called by asyncio when the socket has closed: the process is gone, or about to be."""
        del error
        self._hung_up.set()
        self._process.connection_lost()

    def close(self) -> None:
        """Let the process end by itself: `buried` tells when it has."""
        self._why_killed = "it was closed"
        if self._loaded:
            self.send(Close())
        elif self._transport is not None:
            # It may be deep in a load; without its socket it ends at once.
            self._transport.abort()

    def kill(self, why: str) -> None:
        """End the process at once, as far as it is ours."""
        if self._process.running:
            self._why_killed = self._why_killed or why
            self._process.kill()

    async def _watch(self) -> None:
        """Wait for the process's end, read what it still said, and tell everybody who waits."""
        exited = asyncio.create_task(self._process.wait())
        hung_up = asyncio.create_task(self._hung_up.wait())
        await asyncio.wait((exited, hung_up), return_when=asyncio.FIRST_COMPLETED)
        if self._transport is not None:
            self._transport.resume_reading()
        await asyncio.wait((exited, hung_up), timeout=_HANG_UP_S)
        self.kill("it hung up")
        if self._transport is not None:
            self._transport.abort()
        self._bury(await exited)
        await hung_up

    def _bury(self, code: int) -> None:
        death = self.death = self._cause(code)
        error = OutOfMemoryError if death.kind == "out_of_memory" else ModelError
        self._fail_load(error(death.message))
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(GpttermError(death.message))
        if self._stream is not None:
            self._stream.push(death)
        self.buried.set()

    def _cause(self, code: int) -> Failed:
        """What the process died of, given its exit code."""
        if self._last_words is not None:
            return Failed(kind="internal", message=f"{self._last_words}; its log is {self._log}")
        doing = self._doing()
        if self._why_killed is not None:
            message = f"{self._process.stopped} {doing}: {self._why_killed}"
            return Failed(kind="internal", message=message)
        kind, message = self._process.describe_exit(code, doing)
        return Failed(kind=kind, message=message)

    def _doing(self) -> str:
        if self._loading is not None:
            return f"while it loaded {self._model}"
        if self._stream is not None and not self._stream.over:
            return "in the middle of a reply" if self._stream.begun else "while it read the prompt"
        return "while it was idle" if self._loaded else "before it had loaded a model"
