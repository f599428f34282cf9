"""Questions to an engine about a text."""

import contextlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, TypeVar

from gptterm.engine.api import Failed
from gptterm.engine.inspection.answers import InspectionEvent
from gptterm.engine.inspection.requests import InspectionRequest
from gptterm.errors import GpttermError, error_of

if TYPE_CHECKING:
    from gptterm.tui.state.engine_manager import Client

E = TypeVar("E", bound=InspectionEvent)


async def events_of(
    client: "Client", request: InspectionRequest
) -> AsyncGenerator[InspectionEvent, None]:
    """Yield the events of a request.

    Raises:
        GpttermError: it failed.
    """
    async with contextlib.aclosing(client.inspect(request)) as events:
        async for event in events:
            if isinstance(event, Failed):
                raise error_of(event.kind, event.message)
            yield event


async def ask(client: "Client", request: InspectionRequest, kind: type[E]) -> E:
    """Return the answer to a request.

    Raises:
        GpttermError: it failed.
    """
    async for event in events_of(client, request):
        if isinstance(event, kind):
            return event
    raise GpttermError("the engine has ended")
