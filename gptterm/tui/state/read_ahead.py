"""Distributions in the places of a text, computed ahead of the key that asks for them."""

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from gptterm.engine.inspection.answers import TokenView
from gptterm.engine.inspection.requests import TokenRequest
from gptterm.errors import GpttermError
from gptterm.tui.state.asking import ask

if TYPE_CHECKING:
    from gptterm.tui.state.engine_manager import Client


DRAWN_S = 0.03
"""Time for the screen to draw an answer before the engine takes the cores for the next one."""


class _Ahead(NamedTuple):
    client: "Client"
    request: TokenRequest
    task: asyncio.Task[TokenView | None]
    asked: asyncio.Event


class ReadAhead:
    """Asks for the distribution in one place after another.

    After a step the neighbour in its direction is computed, while the reader looks: a forward pass
    takes tens of milliseconds, and the next key has its answer at once.

    Args:
        delay_s: How long after an answer the next one is asked for.
    """

    def __init__(self, delay_s: float = DRAWN_S) -> None:
        self._delay_s = delay_s
        self._before: TokenRequest | None = None
        self._step = -1
        """The text is opened at its end."""
        self._ahead: _Ahead | None = None

    async def view(self, client: "Client", request: TokenRequest) -> TokenView:
        """Return the answer to a request.

        Raises:
            GpttermError: it failed.
        """
        view = await self._computed(client, request) or await ask(client, request, TokenView)
        before, self._before = self._before, request
        if before is not None and before.ids == request.ids:
            step = request.position - before.position
            if not step:
                return view  # other samplers were asked for
            if abs(step) == 1:
                self._step = step
        self._begin(client, request)
        return view

    async def _computed(self, client: "Client", request: TokenRequest) -> TokenView | None:
        """The answer that was computed ahead, or is about to be; None: it was to another one."""
        ahead, self._ahead = self._ahead, None
        if ahead is None:
            return None
        if ahead.client is client and ahead.request == request and ahead.asked.is_set():
            return await ahead.task
        ahead.task.cancel()
        return None

    def _begin(self, client: "Client", request: TokenRequest) -> None:
        position = request.position + self._step
        if 0 < position <= len(request.ids):
            neighbour = replace(request, position=position)
            asked = asyncio.Event()
            task = asyncio.create_task(self._answer(client, neighbour, asked))
            self._ahead = _Ahead(client, neighbour, task, asked)

    async def _answer(
        self, client: "Client", request: TokenRequest, asked: asyncio.Event
    ) -> TokenView | None:
        """The answer; None if it fails, which is told when the reader asks."""
        await asyncio.sleep(self._delay_s)
        asked.set()
        try:
            return await ask(client, request, TokenView)
        except GpttermError:
            return None
