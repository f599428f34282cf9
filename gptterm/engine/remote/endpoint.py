"""Endpoint: one model on a server, what it was seen to refuse, and the transport to it."""

from collections.abc import Awaitable, Callable

from gptterm.engine.api import RemoteModel, Token
from gptterm.engine.remote import memory, requests
from gptterm.engine.remote.errors import Describer
from gptterm.engine.remote.exchange import Transport
from gptterm.engine.remote.servers import Access
from gptterm.engine.remote.transports import open_transport

Open = Callable[[RemoteModel, Access], Awaitable[Transport]]


class Endpoint:
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
        prepare: Open = open_transport,
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

    @property
    def no_logprobs(self) -> str:
        """Why the server sends no log probabilities; empty as long as it may."""
        return requests.no_logprobs(self.remote, self.learned)

    def remember_refusal(self) -> None:
        """Count a refusal that `learned` has, and keep it if this endpoint remembers."""
        self.learned.count += 1
        if self._remembers:
            memory.remember(self.remote, self.learned)

    async def open(self) -> Transport:
        """Prepare the transport, which connects by itself."""
        if self._transport is None:
            self._transport = await self._prepare(self.remote, self.access)
        return self._transport

    async def close(self) -> None:
        """Close all connections."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()
