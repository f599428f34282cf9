"""Asyncio client of a remote model: the methods of `EngineClient`, without a process."""

import contextlib
from collections.abc import AsyncGenerator

from gptterm.engine.api import (
    Event,
    Failed,
    GenerateRequest,
    LoadRequest,
    ModelInfo,
    NextToken,
    SamplingParams,
)
from gptterm.engine.inspection.answers import InspectionEvent
from gptterm.engine.inspection.requests import InspectionRequest
from gptterm.engine.remote.discovery import model_info
from gptterm.engine.remote.distribution import distribution
from gptterm.engine.remote.servers import Servers
from gptterm.engine.remote.session import Session
from gptterm.errors import GpttermError

ALTERNATIVES = 20
"""Alternatives asked for with each token: the most that servers tell."""


class RemoteClient:
    """Runs generations of one remote model at a time.

    Args:
        servers: the servers that may be opened, with their keys.
    """

    pid = None
    """There is no process of its own."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._session: Session | None = None
        self._info: ModelInfo | None = None

    @property
    def info(self) -> ModelInfo | None:
        """The model that was loaded."""
        return self._info

    @property
    def alive(self) -> bool:
        """Whether a generation can be requested: a server that is gone fails each by itself."""
        return self._session is not None

    @property
    def busy(self) -> bool:
        """Whether a generation runs."""
        return self._session is not None and self._session.busy

    @property
    def no_distribution(self) -> str:
        """Why there is no next-token distribution; empty as long as there may be one."""
        return "" if self._session is None else self._session.no_logprobs

    async def load(self, request: LoadRequest) -> ModelInfo:
        """Use the model that `request` names; it was found by `discovery.find`.

        Raises:
            ModelError: its key cannot be read.
        """
        remote = request.source.remote
        assert remote is not None
        session = Session(remote, self._servers.access(remote), remembers=True)
        await session.open()
        await self.close()
        self._session, self._info = session, model_info(request.source)
        return self._info

    async def generate(self, request: GenerateRequest) -> AsyncGenerator[Event, None]:
        """Yield the events of a generation; closing the generator closes its connections.

        Raises:
            GpttermError: another generation is running, or there is no model.
        """
        if self._session is None:
            raise GpttermError("no model is loaded")
        if self.busy:
            raise GpttermError("the engine is busy with another generation")
        generation = self._session.generate(request, watch=ALTERNATIVES)
        async with contextlib.aclosing(generation) as events:
            async for event in events:
                yield event

    async def cancel(self) -> None:
        """Cancel the running generation, if any: its iterator still yields its last events."""
        if self._session is not None:
            await self._session.cancel()

    async def set_sampling(self, sampling: SamplingParams) -> None:
        """Do nothing: the server has the request already."""

    async def next_token(self, sampling: SamplingParams, limit: int = 20) -> NextToken | None:
        """Return the distribution of the last token, as far as the server told it."""
        if self._session is None:
            return None
        return distribution(self._session.last_token, sampling, limit)

    async def inspect(self, request: InspectionRequest) -> AsyncGenerator[InspectionEvent, None]:
        """Refuse: servers show nothing of what happens inside a model."""
        del request
        name = "a remote model" if self._info is None else self._info.name
        yield Failed(
            kind="usage",
            message=f"{name} runs on a server and cannot be looked into; local models can",
        )

    async def close(self) -> None:
        """Cancel the running generation, and close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.cancel()
            await session.close()
