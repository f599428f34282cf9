"""The asyncio side of an engine in a process of its own. Light to import: no torch.

    client = EngineClient()
    info = await client.load(LoadRequest(source=source))
    async with contextlib.aclosing(client.generate(request)) as events:
        async for event in events:
            ...
    await client.close()

One generation at a time. When the process dies the generation ends with `Failed`, and the next
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
from gptterm.engine.ipc import LOCAL_ENGINE
from gptterm.engine.ipc.connection import Connection
from gptterm.engine.ipc.engine_process import spawn
from gptterm.engine.ipc.event_stream import EventStream
from gptterm.engine.ipc.protocol import LoadProgress, NextTokenResult, TokensResult
from gptterm.errors import GpttermError, UsageError
from gptterm.paths import engine_log

ProgressCallback = Callable[[LoadProgress], None]


class EngineClient:
    """Loads and runs an engine in another process.

    Args:
        factory: "module:function" that takes a `LoadRequest` and returns an `Engine`.
        log: where the process's output goes; None for `engine.log` in the user's state folder.
        cancel_deadline_s: a process that has not obeyed a cancel for so long is killed.
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
        """Called with the number of other clients' generations that go before ours, whenever
        that is another one; a process of our own has no other clients."""
        self._factory = factory
        self._cancel_deadline_s = cancel_deadline_s
        self._close_deadline_s = close_deadline_s
        self._connection: Connection | None = None
        self._stream: EventStream | None = None
        self._info: ModelInfo | None = None
        self._starting = asyncio.Lock()

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
        return self._connection is not None and self._connection.death is None

    @property
    def pid(self) -> int | None:
        """The process's id; None when it does not run."""
        return self._connection.pid if self._connection is not None and self.alive else None

    @property
    def busy(self) -> bool:
        """Whether a generation runs, or one that was cancelled has not ended yet."""
        return self._stream is not None and not self._stream.over

    # ---------------------------------------------------------------------------- loading

    async def start(self) -> None:
        """Start the process, so that it imports its code while the model is still looked for.

        `load` does it too; calling this is never necessary.

        Raises:
            GpttermError: the process cannot be started.
        """
        await self._start_process()

    async def _start_process(self) -> None:
        async with self._starting:
            if not self.alive:
                try:
                    child, ours = await spawn(self._factory, self.log)
                    self._connection = await Connection.open(child, ours, self.log)
                except OSError as error:
                    raise GpttermError(f"the engine cannot be started: {error}") from error

    async def load(
        self, request: LoadRequest, on_progress: ProgressCallback | None = None
    ) -> ModelInfo:
        """Load a model in place of the one there is; a running generation is cancelled first.

        A load that is cancelled (its task) is killed: the next one starts a new process.

        Raises:
            ModelError: the model cannot be loaded, or the process died of it.
            OutOfMemoryError: there is no room for it.
            GpttermError: another load is under way.
        """
        report = on_progress or _ignore
        await self.cancel()
        await self._connect(request, report)
        connection = self._require()
        self._info = None
        self._info = await connection.load(request, report)
        return self._info

    async def _connect(self, request: LoadRequest, report: ProgressCallback) -> None:
        """Have a process that can load the model."""
        del request  # a process of our own loads whatever it is asked
        if not self.alive:
            report(LoadProgress(stage="starting"))
            await self._start_process()

    def _require(self) -> Connection:
        if self._connection is None:
            raise GpttermError("no model is loaded")
        if self._connection.death is not None:
            raise GpttermError(self._connection.death.message)
        return self._connection

    # ------------------------------------------------------------------------- generating

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Event, None]:
        """Yield the engine's events; the last is the last sample's `Finished`, or a `Failed`.

        Closing the generator (`contextlib.aclosing`; leaving the loop alone does not close it at
        once) or cancelling its task cancels the generation in the engine and waits until that has
        let go of it.

        Raises:
            GpttermError: another generation is running. They are not queued: whoever wants two at
                once has lost track of one.
        """
        if self._stream is not None and self._stream.abandoned and not self._stream.over:
            await self._stop(self._stream)
        if self.busy:
            raise GpttermError("the engine is busy with another generation")
        try:
            stream = self._stream = self._require().begin(request)
        except UsageError as error:
            yield Failed(kind="usage", message=str(error))
            return
        except GpttermError as error:
            yield Failed(kind="internal", message=str(error))
            return
        try:
            while (event := await stream.next()) is not None:
                yield event
        finally:
            if not stream.over:
                stream.abandon()
                await self._stop(stream)

    async def cancel(self) -> None:
        """Cancel the running generation, if any: its iterator still yields the ends.

        Returns when the engine has let go of it, or was killed for not doing so in time; the
        iterator then ends with `Failed`.
        """
        if self._stream is not None and not self._stream.over:
            await self._stop(self._stream)

    async def _stop(self, stream: EventStream) -> None:
        stream.cancel()
        try:
            async with asyncio.timeout(self._cancel_deadline_s):
                await stream.ended.wait()
        except TimeoutError:
            self.kill(f"it had not stopped after {self._cancel_deadline_s:g} s")
            await stream.ended.wait()

    async def set_sampling(self, sampling: SamplingParams) -> None:
        """Change the samplers of the running generation from its next token on.

        Without one it does nothing: the next request brings its own.
        """
        if self._stream is not None and not self._stream.over:
            self._stream.set_sampling(sampling)

    # ----------------------------------------------------------------------------- asking

    async def next_token(self, sampling: SamplingParams, limit: int = 20) -> NextToken | None:
        """The distribution at the end of the text so far, also during a generation.

        Raises:
            GpttermError: no model is loaded, or the process died.
        """
        answer = await self._require().ask_next_token(sampling, limit)
        assert isinstance(answer, NextTokenResult)
        return answer.distribution

    async def tokenize(self, text: str) -> tuple[Piece, ...]:
        """Encode as ordinary text.

        Raises:
            UsageError: the text is not valid Unicode.
            GpttermError: no model is loaded, or the process died.
        """
        answer = await self._require().ask_tokens(text)
        assert isinstance(answer, TokensResult)
        return answer.pieces

    # ----------------------------------------------------------------------------- ending

    async def close(self) -> None:
        """End the process: gently, then by force. Safe to call twice, and at any time."""
        async with self._starting:  # a process that is just being started is one to end
            connection = self._connection
        if connection is None or connection.death is not None:
            return
        connection.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._close_deadline_s):
                await connection.buried.wait()
        self.kill("it was closed")
        await connection.buried.wait()

    def kill(self, why: str = "it was killed") -> None:
        """Kill the process at once: for an engine that does not obey."""
        if self._connection is not None:
            self._connection.kill(why)


def _ignore(_progress: LoadProgress) -> None:
    """What happens to progress nobody asked for."""
