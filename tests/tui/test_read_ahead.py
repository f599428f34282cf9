"""The neighbour of the place that is looked at is computed before it is asked for."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from gptterm.config import load_settings
from gptterm.engine.api import SamplingParams
from gptterm.engine.inspection.answers import InspectionEvent, TokenView
from gptterm.engine.inspection.requests import InspectionRequest, TokenRequest
from gptterm.engine.ipc.client import EngineClient
from gptterm.errors import GpttermError
from gptterm.tui.state.asking import ask
from gptterm.tui.state.engine_manager import EngineManager, find_model
from gptterm.tui.state.read_ahead import ReadAhead

IDS = (5, 17, 29, 41, 53)


class _Recorded(EngineClient):
    """Remembers what was asked."""

    def __init__(self, log: Path) -> None:
        super().__init__(log=log)
        self.asked: list[InspectionRequest] = []

    async def inspect(self, request: InspectionRequest) -> AsyncGenerator[InspectionEvent, None]:
        self.asked.append(request)
        async for event in super().inspect(request):
            yield event

    @property
    def positions(self) -> list[int]:
        return [request.position for request in self.asked if isinstance(request, TokenRequest)]


@pytest.fixture
async def client(home: Path) -> AsyncIterator[_Recorded]:
    client = _Recorded(home / "log")
    engine = EngineManager(client, find_model, lambda: None)
    assert await engine.load(load_settings({"model": "tiny"}))
    yield client
    await client.close()


def at(position: int, temperature: float = 1.0) -> TokenRequest:
    sampling = SamplingParams(temperature=temperature)
    return TokenRequest(ids=IDS, position=position, sampling=sampling)


async def test_steps_are_answered_by_what_was_computed_ahead(client: _Recorded) -> None:
    ahead = ReadAhead(delay_s=0)
    for position in (5, 4, 3, 4, 5):
        view = await ahead.view(client, at(position))
        assert view == await ask(client, at(position), TokenView)
    # Each is asked for once more here. The way back was asked for anew; behind the end is nothing.
    assert client.positions == [5, 5, 4, 4, 3, 3, 2, 4, 4, 5, 5]


async def test_keys_faster_than_the_screen_ask_for_themselves(client: _Recorded) -> None:
    ahead = ReadAhead(delay_s=3600)
    for position in (5, 4, 3):
        await ahead.view(client, at(position))
    assert client.positions == [5, 4, 3]


async def test_other_samplers_and_texts_are_not_guessed(client: _Recorded) -> None:
    ahead = ReadAhead(delay_s=0)
    await ahead.view(client, at(4))
    await ahead.view(client, at(4, temperature=0.5))
    view = await ahead.view(client, at(3, temperature=0.5))
    assert view == await ask(client, at(3, temperature=0.5), TokenView)
    other = TokenRequest(ids=IDS[1:], position=2)
    assert await ahead.view(client, other) == await ask(client, other, TokenView)


async def test_a_fault_is_told_when_it_is_asked_for(client: _Recorded) -> None:
    ahead = ReadAhead(delay_s=0)
    await ahead.view(client, at(4))
    await client.close()
    with suppress(GpttermError):  # it may have been computed before
        await ahead.view(client, at(3))
    with pytest.raises(GpttermError):
        await ahead.view(client, at(2))
