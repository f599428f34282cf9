"""Asyncio client of an engine in its own process. Light to import: no torch.

    client = EngineClient()
    info = await client.load(LoadRequest(source=source))
    async with contextlib.aclosing(client.generate(request)) as events:
        async for event in events:
            ...
    await client.close()

One generation at a time. When the process dies, the generation ends with `Failed`, and the next
`load` starts a new process.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from types import TracebackType
from typing import Self

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
from gptterm.engine.inspection.answers import InspectionEvent
from gptterm.engine.inspection.requests import InspectionRequest
from gptterm.engine.ipc import LOCAL_ENGINE
from gptterm.engine.ipc.client_protocol import Generation
from gptterm.engine.ipc.connection import Connection
from gptterm.engine.ipc.engine_process import spawn
from gptterm.engine.ipc.protocol import LoadProgress
from gptterm.errors import GpttermError, UsageError
from gptterm.paths import engine_log

ProgressCallback = Callable[[LoadProgress], None]


class EngineClient:
    """Loads and runs an engine in another process.

    Args:
        factory: "module:function" that takes a `LoadRequest` and returns an `Engine`.
        log: where the process's output goes; None for `engine.log` in the user's state folder.
        cancel_deadline_s: a process that has not obeyed a cancel by then is killed.
        close_deadline_s: the same for `close`.
    """

    def __init__(
        self,
        factory: str = LOCAL_ENGINE,
        *,
        log: Path | None = None,
        cancel_deadline_s: float = 5.0,
        close_deadline_s: float = 2.0,
    ) -> None:
        self.log = log or engine_log()
        self.on_wait: Callable[[int], None] | None = None
        """Called with the number of other clients' generations ahead of ours when it changes; a
        process of our own has no other clients."""
        self._factory = factory
        self._cancel_deadline_s = cancel_deadline_s
        self._close_deadline_s = close_deadline_s
        self._connection: Connection | None = None
        self._generation: Generation | None = None
        self._info: ModelInfo | None = None
        self._start_lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def info(self) -> ModelInfo | None:
        """The model that was loaded last; it may be gone if not `alive`."""
        return self._info

    @property
    def alive(self) -> bool:
        """Whether the process runs. When it does not, `load` starts a new one."""
        return self._connection is not None and self._connection.failure is None

    @property
    def pid(self) -> int | None:
        """The process's id; None when it does not run."""
        return self._connection.pid if self._connection is not None and self.alive else None

    @property
    def busy(self) -> bool:
        """Whether a generation runs, or one that was cancelled has not ended yet."""
        return self._running is not None

    @property
    def _running(self) -> Generation | None:
        generation = self._generation
        return None if generation is None or generation.done else generation

    # ---------------------------------------------------------------------------- loading

    async def start(self) -> None:
        """Start the process, so that it imports its code while the model is still looked for.

        Optional: `load` starts it, too.

        Raises:
            GpttermError: the process cannot be started.
        """
        await self._start_process()

    async def _start_process(self) -> None:
        async with self._start_lock:
            if not self.alive:
                try:
                    process, ours = await spawn(self._factory, self.log)
                    self._connection = await Connection.open(process, ours, self.log)
                except OSError as error:
                    raise GpttermError(f"the engine cannot be started: {error}") from error

    async def load(
        self, request: LoadRequest, on_progress: ProgressCallback | None = None
    ) -> ModelInfo:
        """Replace the model; a running generation is cancelled first.

        Cancelling the task of a load kills the process: the next load starts a new one.

        Raises:
            ModelError: the model cannot be loaded, or the process died of it.
            OutOfMemoryError: there is no room for it.
            GpttermError: another load is under way.
        """
        report = on_progress or _ignore
        await self.cancel()
        if self._connection is not None and self._connection.killed:
            await self._connection.closed.wait()
        await self._connect(request, report)
        connection = self._require()
        self._info = None
        self._info = await connection.load(request, report)
        return self._info

    async def _connect(self, request: LoadRequest, report: ProgressCallback) -> None:
        """Ensure that a process is there that can load the model."""
        del request  # a process of our own loads any model
        if not self.alive:
            report(LoadProgress(stage="starting"))
            await self._start_process()

    def _require(self) -> Connection:
        if self._connection is None:
            raise GpttermError("no model is loaded")
        return self._connection

    # ------------------------------------------------------------------------- generating

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Event, None]:
        """Yield the engine's events; the last is the last sample's `Finished`, or a `Failed`.

        Closing the generator (`contextlib.aclosing`; leaving the loop alone does not close it at
        once) or cancelling its task cancels the generation in the engine and waits for its end.

        Raises:
            GpttermError: another generation is running. Generations are not queued: a front end
                that wants two at once has lost track of one.
        """
        if self._running is not None and self._running.discarded:
            await self.cancel()
        if self.busy:
            raise GpttermError("the engine is busy with another generation")
        try:
            connection = self._require()
            generation, command = connection.protocol.generate(request)
        except UsageError as error:
            yield Failed(kind="usage", message=str(error))
            return
        except GpttermError as error:
            yield Failed(kind="internal", message=str(error))
            return
        self._generation = generation
        connection.send(command)
        try:
            while (event := await connection.next_event(generation)) is not None:
                yield event
        finally:
            if not generation.done:
                generation.discard()
                await self.cancel()

    async def cancel(self) -> None:
        """Cancel the running generation, if any: its iterator still yields its last events.

        Returns when the generation has ended, or the engine was killed for not ending it in time;
        the iterator then ends with `Failed`.
        """
        generation = self._running
        if generation is None:
            return
        connection = self._require()
        connection.send(connection.protocol.cancel(generation))
        try:
            async with asyncio.timeout(self._cancel_deadline_s):
                await connection.wait_for_end(generation)
        except TimeoutError:
            self.kill(f"it had not stopped after {self._cancel_deadline_s:g} s")
            await connection.wait_for_end(generation)

    async def set_sampling(self, sampling: SamplingParams) -> None:
        """Change the samplers of the running generation from its next token on.

        Does nothing without one: the next request brings its own.
        """
        if self._running is not None:
            connection = self._require()
            connection.send(connection.protocol.set_sampling(self._running, sampling))

    def leave_core(self, seconds: float) -> None:
        """Have a running generation compute on a core less for a time, to draw meanwhile.

        Does nothing without one.
        """
        if self._running is not None:
            connection = self._require()
            connection.send(connection.protocol.leave_core(seconds))

    # --------------------------------------------------------------------------- queries

    async def next_token(self, sampling: SamplingParams, limit: int = 20) -> NextToken | None:
        """Return the distribution at the end of the text so far, also during a generation.

        Raises:
            GpttermError: no model is loaded, or the process died.
        """
        connection = self._require()
        return await connection.result(*connection.protocol.next_token(sampling, limit))

    async def tokenize(self, text: str) -> tuple[Piece, ...]:
        """Encode as ordinary text.

        Raises:
            UsageError: the text is not valid Unicode.
            GpttermError: no model is loaded, or the process died.
        """
        connection = self._require()
        return await connection.result(*connection.protocol.tokenize(text))

    async def inspect(self, request: InspectionRequest) -> AsyncGenerator[InspectionEvent, None]:
        """Look into the model, also during a generation; see `InspectableEngine.inspect`.

        Closing the generator cancels, between two chunks of the text. Several may be open.
        """
        try:
            connection = self._require()
            inspection, command = connection.protocol.inspect(request)
        except GpttermError as error:
            yield Failed(kind=error.kind, message=str(error))
            return
        connection.send(command)
        try:
            while (event := await connection.next_event(inspection)) is not None:
                yield event
        finally:
            if not inspection.done:
                connection.send(connection.protocol.stop_inspection(inspection))

    # -------------------------------------------------------------------------------- end

    async def close(self) -> None:
        """End the process: gently, then by force. Idempotent; may be called at any time."""
        async with self._start_lock:  # a process that is just being started must end, too
            connection = self._connection
        if connection is None or connection.failure is not None:
            return
        connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._close_deadline_s):
                await connection.closed.wait()
        self.kill("it was closed")
        await connection.closed.wait()

    def kill(self, reason: str = "it was killed") -> None:
        """Kill the process at once: for an engine that does not obey."""
        if self._connection is not None:
            self._connection.kill(reason)


def _ignore(_progress: LoadProgress) -> None:
    """Default progress callback."""
