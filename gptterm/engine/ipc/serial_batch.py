"""Adapter of engines that run one generation at a time to `LiveBatch`."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator

from gptterm.engine.api import Engine, Event, Failed, GenerateRequest, NextToken, SamplingParams
from gptterm.engine.generation.event_tally import EventTally


class _Generation:
    def __init__(self, number: int, request: GenerateRequest) -> None:
        self.number = number
        self.request = request
        self.tally = EventTally(request)
        self.events: Generator[Event, None, None] | None = None
        """None before it begins."""


class SerialBatch:
    """Runs requests one after the other, with the methods of `LiveBatch`."""

    def __init__(self, engine: Engine, on_error: Callable[[BaseException], Failed]) -> None:
        self._engine = engine
        self._on_error = on_error
        self._count = 0
        self._requests: deque[_Generation] = deque()
        """The first one is running."""
        self._paused: set[int] = set()
        self._latest = -1
        """Number of the latest request that has begun."""
        self._sampling_lock = threading.Lock()
        self._sampling: dict[int, SamplingParams] = {}
        """Samplers for requests that have not begun: beginning sets those of the request."""
        self._begun = -1
        """Number of the request that the engine's samplers are those of."""

    @property
    def idle(self) -> bool:
        return not self._requests

    @property
    def ready(self) -> bool:
        return bool(self._requests) and self._requests[0].number not in self._paused

    @property
    def has_room(self) -> bool:
        return self.idle

    def submit(self, request: GenerateRequest) -> int:
        number = self._count
        self._count += 1
        self._requests.append(_Generation(number, request))
        return number

    def step(self) -> Iterator[tuple[int, Event]]:
        """Yield the next event of the running request."""
        running, event = self._requests[0], None
        if running.events is None:
            running.events = self._engine.generate(running.request)
            self._latest = running.number
        try:
            event = next(running.events, None)
            if event is None:
                raise RuntimeError("the engine stopped without finishing")
        except BaseException as error:
            event = self._on_error(error)
        if self._begun != running.number:
            self._begin_sampling(running.number)
        running.tally.add(event)
        if running.tally.done:
            self._end(running)
        yield running.number, event

    def cancel(self, number: int) -> None:
        for generation in self._requests:
            if generation.number == number:
                self._end(generation)
                return

    def pause(self, number: int) -> bool:
        self._paused.add(number)
        return False

    def resume(self, number: int) -> None:
        self._paused.discard(number)

    def close(self) -> None:
        while self._requests:
            self._end(self._requests[-1])

    def set_sampling(self, number: int, sampling: SamplingParams) -> None:
        with self._sampling_lock:
            if self._begun == number:
                self._engine.set_sampling(sampling)
            elif self._begun < number:
                self._sampling[number] = sampling

    def next_token(
        self, number: int, sampling: SamplingParams, limit: int = 20
    ) -> NextToken | None:
        return self._engine.next_token(sampling, limit) if number == self._latest else None

    def _begin_sampling(self, number: int) -> None:
        with self._sampling_lock:
            self._begun = number
            sampling = self._sampling.pop(number, None)
            if sampling is not None:
                self._engine.set_sampling(sampling)

    def _end(self, generation: _Generation) -> None:
        self._requests.remove(generation)
        self._paused.discard(generation.number)
        with self._sampling_lock:
            self._sampling.pop(generation.number, None)
        if generation.events is not None:
            try:
                generation.events.close()
            except BaseException as error:
                self._on_error(error)  # logs it; the generation has ended already
