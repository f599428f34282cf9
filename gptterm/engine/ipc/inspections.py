"""Inspections of an engine process: those of all clients, in turns."""

import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass

from gptterm.engine.api import Engine, Failed
from gptterm.engine.inspection.answers import InspectionEvent, is_last
from gptterm.engine.inspection.requests import InspectableEngine
from gptterm.engine.ipc.client_channel import ClientChannel
from gptterm.engine.ipc.protocol import InspectionFrame, QueryInspection


@dataclass(eq=False)
class _Inspection:
    channel: ClientChannel
    call: int
    events: Generator[InspectionEvent, None, None]
    paused: bool = False
    """Whether it is suspended because its client does not read."""

    @property
    def waits(self) -> bool:
        buffer = self.channel.send_buffer
        self.paused = not buffer.drained if self.paused else not buffer.has_room
        return self.paused


class Inspections:
    """Runs inspections beside the generations. Used by the engine's thread.

    Args:
        on_error: converts an unexpected exception to a failure for the client.
    """

    def __init__(self, on_error: Callable[[BaseException], Failed]) -> None:
        self._on_error = on_error
        self._running: deque[_Inspection] = deque()
        self._rest_until = 0.0
        """Time by `time.monotonic` up to which generations go first: as long as a step took."""

    @property
    def busy(self) -> bool:
        """Whether any inspection is running."""
        return bool(self._running)

    @property
    def ready(self) -> bool:
        """Whether any inspection is running whose client reads."""
        return any(not inspection.waits for inspection in self._running)

    def begin(self, engine: Engine, channel: ClientChannel, query: QueryInspection) -> None:
        """Begin an inspection."""
        if isinstance(engine, InspectableEngine):
            events = engine.inspect(query.request)
            self._running.append(_Inspection(channel, query.call, events))
            return
        message = f"{engine.info.name} cannot be looked into"
        _post(channel, query.call, Failed(kind="usage", message=message))

    def stop(self, channel: ClientChannel, call: int) -> None:
        """End an inspection whose client does not want more of it."""
        for inspection in list(self._running):
            if (inspection.channel, inspection.call) == (channel, call):
                self._end(inspection)

    def step(self, *, is_beside: bool) -> None:
        """Run one inspection up to its next event, and post that.

        Args:
            is_beside: generations run, which get as much of the time.
        """
        if is_beside and time.monotonic() < self._rest_until:
            return
        for inspection in list(self._running):
            if inspection.channel.closed:
                self._end(inspection)
        for _ in range(len(self._running)):
            inspection = self._running[0]
            self._running.rotate(-1)
            if not inspection.waits:
                started = time.monotonic()
                self._step(inspection)
                now = time.monotonic()
                self._rest_until = now + (now - started)
                return

    def end_all(self, message: str) -> None:
        """End all inspections with a failure."""
        for inspection in list(self._running):
            self._end(inspection)
            _post(inspection.channel, inspection.call, Failed(kind="internal", message=message))

    def _step(self, inspection: _Inspection) -> None:
        try:
            event = next(inspection.events)
        except BaseException as error:
            event = self._on_error(error)
        _post(inspection.channel, inspection.call, event)
        if is_last(event):
            self._end(inspection)

    def _end(self, inspection: _Inspection) -> None:
        self._running.remove(inspection)
        try:
            inspection.events.close()
        except BaseException as error:
            self._on_error(error)  # logs it; nobody waits for more events


def _post(channel: ClientChannel, call: int, event: InspectionEvent) -> None:
    channel.send_buffer.post(InspectionFrame(call=call, event=event), at_once=is_last(event))
