"""Session: generations of one model on a server, over asyncio.

Cancelling a task, or closing the generator, closes the connection at once, in any phase.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from gptterm.engine.api import Event, GenerateRequest, RemoteModel, Token
from gptterm.engine.generation.event_tally import EventTally
from gptterm.engine.remote import memory, requests
from gptterm.engine.remote.errors import Describer
from gptterm.engine.remote.exchange import Transport
from gptterm.engine.remote.generation import Emit, Generation
from gptterm.engine.remote.servers import Access
from gptterm.engine.remote.transports import open_openai

Open = Callable[[RemoteModel, Access], Awaitable[Transport]]


class Session:
    """One model on a server.

    Args:
        remote: the model.
        access: what opens the server.
        remembers: what the server refuses is kept in the cache folder, for the next start.
        prepare: opens the transport, with the first use.
    """

    def __init__(
        self,
        remote: RemoteModel,
        access: Access,
        *,
        remembers: bool = False,
        prepare: Open = open_openai,
    ) -> None:
        self._prepare = prepare
        self.remote = remote
        self.learned = memory.recall(remote) if remembers else requests.Learned()
        self._remembers = remembers
        self.describe = Describer(remote, access)
        self.last_token: Token | None = None
        """The last one of the first sample, in a generation with logprobs."""
        self.access = access
        self._transport: Transport | None = None
        self._task: asyncio.Task[None] | None = None
        """The running generation."""

    @property
    def busy(self) -> bool:
        """Whether a generation runs."""
        return self._task is not None and not self._task.done()

    @property
    def no_logprobs(self) -> str:
        """Why the server sends no log probabilities; empty as long as it may."""
        return requests.no_logprobs(self.remote, self.learned)

    def remember_refusal(self) -> None:
        """Count a refusal that `learned` has, and keep it if the session remembers."""
        self.learned.count += 1
        if self._remembers:
            memory.remember(self.remote, self.learned)

    async def open(self) -> Transport:
        """Prepare the transport, which connects by itself.

        Raises:
            ModelError: the openai package is missing, or too old.
        """
        if self._transport is None:
            self._transport = await self._prepare(self.remote, self.access)
        return self._transport

    async def close(self) -> None:
        """Close all connections."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

    # ------------------------------------------------------------------------- generating

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
