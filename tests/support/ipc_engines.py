"""A scripted engine in a process of its own, for tests of engine clients."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gptterm.engine.api import (
    Event,
    Failed,
    Finished,
    GenerateRequest,
    TextPrompt,
    Token,
)
from gptterm.engine.ipc.client import EngineClient
from tests.support.scripted import FACTORY, Script, write_script


def request(text: str = "Once upon a time", **options: object) -> GenerateRequest:
    """A request to continue `text`."""
    return GenerateRequest(prompt=TextPrompt(text=text), **options)  # type: ignore[arg-type]


def new_client(directory: Path, factory: str = FACTORY, /, **deadlines: float) -> EngineClient:
    """A client whose log is in `directory`."""
    return EngineClient(factory, log=directory / "engine.log", **deadlines)


@asynccontextmanager
async def hosted(
    directory: Path, script: Script, **deadlines: float
) -> AsyncIterator[EngineClient]:
    """A client with `script` loaded; its process is gone afterwards."""
    async with new_client(directory, FACTORY, **deadlines) as client:
        await client.load(write_script(directory, script))
        yield client


async def collect(client: EngineClient, asked: GenerateRequest) -> list[Event]:
    """All events of a generation."""
    async with contextlib.aclosing(client.generate(asked)) as events:
        return [event async for event in events]


def text_of(events: list[Event], sample: int = 0) -> str:
    """The text of one sample."""
    return "".join(
        event.text
        for event in events
        if isinstance(event, Token | Finished) and event.sample == sample
    )


def end_of(events: list[Event]) -> Finished:
    """The last event, which must be a regular end."""
    assert isinstance(events[-1], Finished), events[-1]
    return events[-1]


def failure_of(events: list[Event]) -> Failed:
    """The last event, which must be a failure."""
    assert isinstance(events[-1], Failed), events[-1]
    return events[-1]
