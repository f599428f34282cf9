"""Questions to an engine about a text."""

import contextlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, TypeVar

from gptterm.conversation.label_scorer import Asking, Result
from gptterm.engine.api import Failed
from gptterm.engine.inspection.answers import InspectionEvent, is_last
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


async def result_of(client: "Client", asking: Asking[Result]) -> Result:
    """Return the result of what asks the engine.

    Raises:
        GpttermError: a request failed.
    """
    try:
        request = next(asking)
        while True:
            request = asking.send(await _last(client, request))
    except StopIteration as end:
        result: Result = end.value
        return result


async def _last(client: "Client", request: InspectionRequest) -> InspectionEvent:
    async for event in events_of(client, request):
        if is_last(event):
            return event
    raise GpttermError("the engine has ended")
