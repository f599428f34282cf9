"""Generations of an engine process: one batch, of which each client has one request."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from gptterm.engine.api import (
    Engine,
    Event,
    Failed,
    NextToken,
    Prefilled,
    Token,
)
from gptterm.engine.batching import BatchingEngine, LiveBatch
from gptterm.engine.generation.event_tally import EventTally
from gptterm.engine.ipc.client_channel import ClientChannel
from gptterm.engine.ipc.errors import describe
from gptterm.engine.ipc.protocol import EventFrame, Generate, QueryNextToken, SetSampling
from gptterm.engine.ipc.scheduler import Scheduler
from gptterm.engine.ipc.serial_batch import SerialBatch
from gptterm.errors import GpttermError, ModelError

_SLOW_READER_S = 5.0
"""Seconds that a client that does not read may hold up others."""


@dataclass(eq=False)
class _Generation:
    channel: ClientChannel
    id: int
    number: int
    """Of its request in the batch."""
    tally: EventTally
    paused: bool = False
    """Whether it is suspended because its client does not read."""
    blocks: bool = False
    """Whether others may have to wait for it while it is paused."""
    blocks_since: float = 0.0
    unsent: int = 0
    """Unsent bytes at that time."""


class Generations:
    """Runs the generations of all clients in one batch. Used by the engine's thread.

    Args:
        rows: maximum number of sequences decoded together.
        on_error: converts an unexpected exception to a failure for the client.
    """

    def __init__(
        self, scheduler: Scheduler, rows: int, on_error: Callable[[BaseException], Failed]
    ) -> None:
        self.count = 0
        """Number of generations that have begun."""
        self._scheduler = scheduler
        self._rows = rows
        self._on_error = on_error
        self._engine: Engine | None = None
        self._batch: LiveBatch | None = None
        self._running: dict[int, _Generation] = {}
        """By their numbers in the batch."""
        self._latest: WeakKeyDictionary[ClientChannel, int] = WeakKeyDictionary()
        """Number of each client's latest generation."""
        self._beat = 0.0
        """Time of the engine's last progress."""
        self._sampling_lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether any generation is running. Thread-safe."""
        return bool(self._running)

    @property
    def ready(self) -> bool:
        """Whether any generation is running and not paused."""
        return self._batch is not None and self._batch.ready

    def stuck(self, cancel_limit_s: float, stall_limit_s: float) -> bool:
        """Whether a cancel was ignored, or nothing has progressed, for too long. Thread-safe."""
        running = list(self._running.values())
        now = time.monotonic()
        cancelled = (g.channel.cancelled_at for g in running if self._is_cancelled(g))
        return any(now - max(self._beat, at) > cancel_limit_s for at in cancelled) or bool(
            running and now - self._beat > stall_limit_s
        )

    def use(self, engine: Engine | None) -> None:
        """Set the engine for the next generations. None may be running."""
        self._engine = engine
        self._latest.clear()
        self._batch = None
        if isinstance(engine, BatchingEngine):
            self._batch = engine.new_batch(self._rows, self._on_error)
        elif engine is not None:
            self._batch = SerialBatch(engine, self._on_error)
        self._scheduler.set_room(True)

    def begin(self, channel: ClientChannel, command: Generate) -> None:
        """Begin a generation."""
        self.count += 1
        if self._batch is None:
            kind, message = describe(ModelError("no model is loaded"))
            self._post(channel, command.id, Failed(kind=kind, message=message))
            self._scheduler.end_generation(channel, has_room=True)
            return
        self._beat = time.monotonic()
        with self._sampling_lock:
            number = self._batch.submit(command.request)
            tally = EventTally(command.request)
            self._running[number] = _Generation(channel, command.id, number, tally)
            if channel.sampling is not None and channel.sampling[0] == command.id:
                self._batch.set_sampling(number, channel.sampling[1])
        self._latest[channel] = number
        self._scheduler.set_room(self._batch.has_room)

    def set_sampling(self, channel: ClientChannel, command: SetSampling) -> None:
        """Change the samplers of a generation, also of one that has not begun. Thread-safe."""
        with self._sampling_lock:
            channel.sampling = (command.id, command.sampling)
            for generation in list(self._running.values()):
                if (generation.channel, generation.id) == (channel, command.id) and self._batch:
                    self._batch.set_sampling(generation.number, command.sampling)

    def next_token(self, channel: ClientChannel, query: QueryNextToken) -> NextToken | None:
        """The distribution after a client's latest text; None if that is not cached any more."""
        number = self._latest.get(channel)
        if self._batch is None or number is None:
            return None
        return self._batch.next_token(number, query.sampling, query.limit)

    def step(self) -> None:
        """Run a step of the batch, and post its events."""
        batch = self._batch
        self._beat = time.monotonic()
        if batch is None or not batch.ready:
            return
        try:
            for number, event in batch.step():
                self._beat = time.monotonic()
                generation = self._running[number]
                generation.tally.add(event)
                self._post(generation.channel, generation.id, event)
        except BaseException as error:  # of the batch itself: a request's own become `Failed`
            failed = self._on_error(error)
            for generation in list(self._running.values()):
                self._end(generation, failed)
            self._close_batch()
            self.use(self._engine)
            return
        for generation in [g for g in self._running.values() if g.tally.done]:
            self._end(generation)

    def end_cancelled(self) -> None:
        """End generations that were cancelled, or whose clients are gone."""
        for generation in [g for g in self._running.values() if self._is_cancelled(g)]:
            self._cancel(generation)
            for end in generation.tally.cancel():
                self._post(generation.channel, generation.id, end)
            self._end(generation)

    def pause_unread(self) -> None:
        """Pause generations whose clients do not read, and resume those whose clients do."""
        for generation in list(self._running.values()):
            buffer = generation.channel.send_buffer
            if not generation.paused and not buffer.has_room:
                self._pause(generation)
            elif generation.paused and buffer.drained:
                self._resume(generation)
            elif generation.blocks:
                self._limit_blocking(generation)

    def end_all(self, message: str) -> None:
        """End all generations with a failure."""
        for generation in list(self._running.values()):
            self._cancel(generation)
            self._end(generation, Failed(kind="internal", message=message))

    def _close_batch(self) -> None:
        try:
            if self._batch is not None:
                self._batch.close()
        except BaseException as error:
            self._on_error(error)

    @staticmethod
    def _is_cancelled(generation: _Generation) -> bool:
        return generation.id <= generation.channel.cancelled_id

    def _pause(self, generation: _Generation) -> None:
        assert self._batch is not None
        generation.paused = True
        generation.blocks = not self._batch.pause(generation.number)
        generation.blocks_since = time.monotonic()
        generation.unsent = generation.channel.send_buffer.unsent
        self._scheduler.set_room(self._batch.has_room)

    def _resume(self, generation: _Generation) -> None:
        assert self._batch is not None
        generation.paused = generation.blocks = False
        self._batch.resume(generation.number)
        self._scheduler.set_room(self._batch.has_room)

    def _limit_blocking(self, generation: _Generation) -> None:
        """End a paused generation that has blocked others for too long."""
        unsent = generation.channel.send_buffer.unsent
        now = time.monotonic()
        if unsent < generation.unsent or not self._scheduler.others_wait(generation.channel):
            generation.blocks_since, generation.unsent = now, unsent
        elif now - generation.blocks_since > _SLOW_READER_S:
            error = GpttermError("the output was not read while other clients were waiting")
            kind, message = describe(error)
            self._cancel(generation)
            self._end(generation, Failed(kind=kind, message=message))

    def _cancel(self, generation: _Generation) -> None:
        if self._batch is None:
            return
        try:
            self._batch.cancel(generation.number)
        except BaseException as error:
            self._on_error(error)

    def _end(self, generation: _Generation, failed: Failed | None = None) -> None:
        if failed is not None and not generation.tally.done:
            self._post(generation.channel, generation.id, failed)
        del self._running[generation.number]
        has_room = self._batch is None or self._batch.has_room
        self._scheduler.end_generation(generation.channel, has_room=has_room)

    def _post(self, channel: ClientChannel, id_: int, event: Event) -> None:
        at_once = not isinstance(event, Token | Prefilled)
        channel.send_buffer.post(EventFrame(id=id_, event=event), at_once=at_once)
