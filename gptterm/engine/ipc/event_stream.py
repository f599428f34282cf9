"""The events of one generation on their way to whoever takes them."""

import asyncio
from collections import deque
from typing import Protocol

from gptterm.engine.api import Event, Failed, Finished, GenerateRequest, SamplingParams, Token
from gptterm.engine.ipc.protocol import Cancel, Command, SetSampling

HIGH_WATER = 4096
"""Events waiting to be taken; at more the socket is not read, so that the engine waits."""
LOW_WATER = 1024


class Carrier(Protocol):
    """What brings the events."""

    def send(self, command: Command) -> None:
        """Write a command to the engine."""
        ...

    def regulate(self) -> None:
        """Read on or not, by the backlog."""
        ...


class EventStream:
    """The events of one generation: pushed by the connection, taken by `next`."""

    def __init__(self, carrier: Carrier, number: int, request: GenerateRequest) -> None:
        self.ended = asyncio.Event()
        """Set once the last event has arrived, taken or not."""
        self.abandoned = False
        self.begun = False
        """Whether a token has arrived."""
        self._carrier = carrier
        self._number = number
        self._unfinished = request.samples
        self._waiting: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._cancelled = False

    @property
    def over(self) -> bool:
        """Whether the last event has arrived."""
        return self.ended.is_set()

    @property
    def number(self) -> int:
        """The generation's id on the wire."""
        return self._number

    @property
    def backlog(self) -> int:
        """Events not yet taken; 0 when nobody is going to be slow about them."""
        return 0 if self._cancelled else len(self._waiting)

    def push(self, event: Event) -> None:
        """Take in an event; those after the end are dropped."""
        if self.over:
            return
        if isinstance(event, Token):
            self.begun = True
        if not self.abandoned:
            self._waiting.append(event)
        if isinstance(event, Finished):
            self._unfinished -= 1
        if isinstance(event, Failed) or self._unfinished == 0:
            self.ended.set()
        self._arrived.set()

    async def next(self) -> Event | None:
        """The next event; None after the last."""
        while not self._waiting:
            if self.over:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        event = self._waiting.popleft()
        if len(self._waiting) == LOW_WATER:
            self._carrier.regulate()
        return event

    def abandon(self) -> None:
        """Nobody takes events any more."""
        self.abandoned = True
        self._waiting.clear()

    def cancel(self) -> None:
        """Query the engine to end the generation, and read on until it has."""
        self._cancelled = True
        self._carrier.send(Cancel(id=self._number))
        self._carrier.regulate()

    def set_sampling(self, sampling: SamplingParams) -> None:
        """Change the generation's samplers."""
        self._carrier.send(SetSampling(id=self._number, sampling=sampling))
