"""RemoteEngine: the synchronous `Engine` over a server, for the command line.

An event loop in a thread of its own does the I/O, so that a wait for a silent server can be
cancelled.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

from gptterm.engine.api import (
    Event,
    GenerateRequest,
    ModelInfo,
    ModelSource,
    NextToken,
    Piece,
    RemoteModel,
    SamplingParams,
)
from gptterm.engine.generation.event_tally import EventTally
from gptterm.engine.remote.discovery import find, model_info
from gptterm.engine.remote.distribution import distribution
from gptterm.engine.remote.probe import ServerReport, probe
from gptterm.engine.remote.servers import Access
from gptterm.engine.remote.session import Session
from gptterm.errors import GpttermError, UsageError

T = TypeVar("T")

_CLOSE_S = 1.0
_POLL_S = 0.1
"""Interval at which `interrupted` is polled while nothing arrives."""


class LoopThread:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def result(
        self, work: Coroutine[Any, Any, T], interrupted: Callable[[], bool] | None = None
    ) -> T:
        """Run a coroutine to its end; cancel it when `interrupted`.

        Raises:
            GpttermError: it was interrupted.
        """
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            while True:
                try:
                    return future.result(_POLL_S)
                except TimeoutError:
                    if future.done():
                        raise
                    if interrupted is not None and interrupted():
                        raise GpttermError("interrupted") from None
        finally:
            future.cancel()

    def close(self) -> None:
        """Cancel what runs, so that connections are closed, and stop the loop."""
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(_cancel_all(), self.loop).result(2 * _CLOSE_S)
        self.loop.call_soon_threadsafe(self.loop.stop)


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=_CLOSE_S)


def find_remote(
    remote: RemoteModel,
    access: Access,
    *,
    offline: bool = False,
    interrupted: Callable[[], bool] | None = None,
) -> ModelSource:
    """Ask a server about a model; see `discovery.find`.

    Raises:
        ModelError: the server cannot be reached, refuses, or does not have the model.
    """
    thread = LoopThread()
    try:
        return thread.result(find(remote, access, offline=offline), interrupted)
    finally:
        thread.close()


def probe_server(remote: RemoteModel, access: Access) -> ServerReport:
    """Find out what a server can do; see `probe.probe`.

    Raises:
        ModelError: it cannot be reached, or refuses.
    """
    thread = LoopThread()
    try:
        return thread.result(probe(remote, access))
    finally:
        thread.close()


class RemoteEngine:
    """An `Engine` on a server.

    Args:
        source: the model, as `find_remote` found it.
        access: what opens its server.
        interrupted: whether the user wants to stop; polled while nothing arrives.
    """

    def __init__(
        self,
        source: ModelSource,
        access: Access,
        interrupted: Callable[[], bool] | None = None,
    ) -> None:
        assert source.remote is not None
        begun = time.perf_counter()
        self._interrupted = interrupted
        self._session = Session(source.remote, access, remembers=True)
        self._thread = LoopThread()
        self.info: ModelInfo = model_info(source, time.perf_counter() - begun)

    def generate(self, request: GenerateRequest) -> Generator[Event, None, None]:
        """See `Engine.generate`. Closing it closes the connections."""
        events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        tally = EventTally(request)
        future = asyncio.run_coroutine_threadsafe(
            self._pump(request, events.put), self._thread.loop
        )
        try:
            while not tally.done:
                try:
                    event = events.get(timeout=_POLL_S)
                except queue.Empty:
                    if self._interrupted is not None and self._interrupted():
                        yield from tally.cancel()
                    continue
                if event is None:
                    future.result()  # raises what it raised
                    return
                tally.add(event)
                yield event
        finally:
            future.cancel()

    async def _pump(self, request: GenerateRequest, put: Callable[[Event | None], None]) -> None:
        generation = self._session.generate(request)
        try:
            async for event in generation:
                put(event)
        finally:
            put(None)
            await generation.aclose()

    def set_sampling(self, sampling: SamplingParams) -> None:
        """Do nothing: the server has the request already."""

    def next_token(self, sampling: SamplingParams, limit: int = 20) -> NextToken | None:
        """Return the distribution of the last token, as far as the server told it."""
        return distribution(self._session.last_token, sampling, limit)

    def tokenize(self, text: str) -> tuple[Piece, ...]:  # noqa: ARG002
        """Refuse: servers keep their tokenizers.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{self.info.name} is on a server, whose tokenizer is not here")

    def close(self) -> None:
        """Close all connections."""
        try:
            self._thread.result(self._session.close())
        finally:
            self._thread.close()
