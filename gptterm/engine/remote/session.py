"""Session: generations of one model on a server, over asyncio.

Cancelling a task, or closing the generator, closes the connection at once, in any phase.
"""

import asyncio
from collections.abc import AsyncGenerator

from gptterm.engine.api import Event, GenerateRequest
from gptterm.engine.generation.event_tally import EventTally
from gptterm.engine.remote.endpoint import Endpoint
from gptterm.engine.remote.generation import Emit, Generation


class Session(Endpoint):
    """Generations of one model on a server: one at a time, or many beside each other."""

    _task: asyncio.Task[None] | None = None
    """The running generation."""

    @property
    def busy(self) -> bool:
        """Whether a generation runs."""
        return self._task is not None and not self._task.done()

    async def generate(
        self, request: GenerateRequest, *, watch: int | None = None
    ) -> AsyncGenerator[Event, None]:
        """Yield the events of a generation; closing the generator closes its connections.

        Args:
            watch: ask for as many alternatives a token, for `last_token`, even if the request does
                not; a server that sends none gets no notice.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        generation = Generation(self, request, queue.put_nowait, watch=watch)
        tally = EventTally(request)
        task = self._task = asyncio.create_task(generation.run())
        task.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (event := await queue.get()) is not None:
                tally.add(event)
                yield event
            if task.cancelled():
                for end in tally.cancel():
                    yield end
            else:
                task.result()  # raises what it raised
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def answer(self, request: GenerateRequest, emit: Emit) -> None:
        """Run a generation beside others, and emit its events; a cancel closes its connection.

        There is one connection: the caller counts the requests in flight.
        """
        await Generation(self, request, emit, at_once=1).run()

    async def cancel(self) -> None:
        """Cancel the running generation, if any: its iterator still yields its last events."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
