"""Looking into the model of an engine process, from the asyncio client."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gptterm.engine.api import (
    Failed,
    GenerateRequest,
    LoadRequest,
    ModelSource,
    SamplingParams,
    Token,
    TokenPrompt,
)
from gptterm.engine.generation.loader import load_engine
from gptterm.engine.inspection.answers import (
    InspectionEvent,
    ScoreSummary,
    TokenScores,
    TokenView,
)
from gptterm.engine.inspection.requests import (
    InspectionRequest,
    ScoreRequest,
    TokenRequest,
)
from gptterm.engine.ipc.client import EngineClient
from gptterm.engine.ipc.client_protocol import ClientProtocol
from gptterm.engine.ipc.protocol import InspectionFrame, encode
from gptterm.engine.remote.client import RemoteClient
from gptterm.engine.remote.servers import Servers
from tests.support.gpt2 import write_gpt2
from tests.support.ipc_engines import hosted, new_client
from tests.support.scripted import Script

IDS = tuple(range(40, 100))


async def inspected(client: EngineClient, request: InspectionRequest) -> list[InspectionEvent]:
    async with contextlib.aclosing(client.inspect(request)) as events:
        return [event async for event in events]


@asynccontextmanager
async def small(directory: Path) -> AsyncIterator[tuple[EngineClient, LoadRequest]]:
    model = write_gpt2(directory / "model", positions=128)
    asked = LoadRequest(source=ModelSource(name="small", directory=str(model)), device="cpu")
    async with EngineClient(log=directory / "engine.log") as client:
        await client.load(asked)
        yield client, asked


async def test_while_a_reply_streams(tmp_path: Path) -> None:
    request = GenerateRequest(
        prompt=TokenPrompt(ids=IDS[:20]), sampling=SamplingParams(temperature=0), max_tokens=30,
        ignore_eos=True,
    )  # fmt: skip
    async with small(tmp_path) as (client, asked):
        local = load_engine(asked)
        usual = [event.id for event in local.generate(request) if isinstance(event, Token)]
        found = []
        async with contextlib.aclosing(client.generate(request)) as events:
            async for event in events:
                if isinstance(event, Token):
                    found.append(event.id)
                    look = TokenRequest(ids=(*IDS[:20], *found), position=19 + len(found))
                    view = (await inspected(client, look))[-1]
                    assert isinstance(view, TokenView)
                    assert view.score is not None
                    assert view.score.id == event.id
        assert found == usual
        scored = ScoreRequest(ids=IDS * 8, alternatives=2)
        assert await inspected(client, scored) == list(local.inspect(scored))
        async with contextlib.aclosing(client.inspect(ScoreRequest(ids=IDS * 2000))) as long:
            assert isinstance(await anext(long), TokenScores)
        # The next model is not kept waiting by what nobody wants any more.
        unread = client.inspect(ScoreRequest(ids=IDS * 2000))
        await anext(unread)
        await client.load(asked)
        ends = [event async for event in unread if isinstance(event, Failed)]
        assert "unloaded" in ends[0].message
        (*_, summary) = await inspected(client, ScoreRequest(ids=IDS))
        assert isinstance(summary, ScoreSummary)


async def test_engines_that_show_nothing(tmp_path: Path) -> None:
    async with new_client(tmp_path) as client:
        (failed,) = await inspected(client, ScoreRequest(ids=IDS))
        assert isinstance(failed, Failed)
        assert "no model" in failed.message
    async with hosted(tmp_path, Script.saying(["a"])) as client:
        (failed,) = await inspected(client, ScoreRequest(ids=IDS))
        assert isinstance(failed, Failed)
        assert failed.kind == "usage"
        client.kill()
        (failed,) = await inspected(client, ScoreRequest(ids=IDS))
        assert isinstance(failed, Failed)


async def test_models_on_servers_show_nothing() -> None:
    (failed,) = [event async for event in RemoteClient(Servers()).inspect(ScoreRequest(ids=IDS))]
    assert isinstance(failed, Failed)
    assert failed.kind == "usage"
    assert "server" in failed.message


def test_unread_events_hold_up_the_engine_unless_one_waits() -> None:
    protocol = ClientProtocol(Path("/log"))
    first, _ = protocol.inspect(ScoreRequest(ids=(1,)))
    assert protocol.backlog == 0
    scores = TokenScores(first=0, tokens=())
    for _ in range(5):
        protocol.receive_data(encode(InspectionFrame(call=first.call, event=scores)))
    assert protocol.backlog == 5
    second, _ = protocol.inspect(ScoreRequest(ids=(1,)))
    assert protocol.backlog == 0  # what it waits for comes behind them
    protocol.receive_data(encode(InspectionFrame(call=second.call, event=scores)))
    assert protocol.backlog == 6
    protocol.stop_inspection(second)
    protocol.receive_data(encode(InspectionFrame(call=second.call, event=scores)))
    assert (len(second.events), protocol.backlog) == (1, 5)
    assert not first.done
    failed = Failed(kind="internal", message="")
    protocol.receive_data(encode(InspectionFrame(call=first.call, event=failed)))
    assert first.done
