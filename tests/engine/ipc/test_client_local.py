"""A real model in the engine's process."""

import contextlib
from pathlib import Path

from gptterm.engine.api import (
    ChatPrompt,
    Event,
    LoadRequest,
    Message,
    ModelSource,
    SamplingParams,
    Started,
    Token,
)
from gptterm.engine.generation.loader import load_engine
from gptterm.engine.ipc.client import EngineClient
from gptterm.errors import ModelError
from tests.support.gpt2 import write_gpt2
from tests.support.ipc_engines import collect, end_of, request, text_of

GREEDY = SamplingParams(temperature=0)


async def test_the_same_tokens_as_in_this_process(tmp_path: Path) -> None:
    model = write_gpt2(tmp_path / "model", positions=128)
    asked = LoadRequest(source=ModelSource(name="small", directory=str(model)), device="cpu")
    wanted = request("Once upon a time", sampling=SamplingParams(), seed=7, max_tokens=20)
    engine = load_engine(asked)
    expected = [event.id for event in engine.generate(wanted) if isinstance(event, Token)]
    engine.close()

    async with EngineClient(log=tmp_path / "engine.log") as client:
        info = await client.load(asked)
        assert (info.decoder, info.context_length) == ("native", 128)
        events = await collect(client, wanted)
        assert [event.id for event in events if isinstance(event, Token)] == expected
        assert end_of(events).reason in ("length", "eos")

        # The conversation so far is not read again.
        first = Message(role="user", text="hello")
        events = await collect(
            client, type(wanted)(prompt=ChatPrompt(messages=(first,)), max_tokens=5)
        )
        ids = tuple(event.id for event in events if isinstance(event, Token))
        reply = Message(role="assistant", text=text_of(events), ids=ids)
        longer = ChatPrompt(messages=(first, reply, Message(role="user", text="again")))
        started = (await collect(client, type(wanted)(prompt=longer, max_tokens=1)))[0]
        assert isinstance(started, Started)
        assert started.reused_tokens >= len(started.prompt_ids) // 2

        cancelled: list[Event] = []
        async with contextlib.aclosing(client.generate(request(max_tokens=100))) as stream:
            async for event in stream:
                cancelled.append(event)
                if isinstance(event, Token):
                    await client.cancel()
        assert end_of(cancelled).reason in ("cancelled", "eos", "length")
        assert [piece.piece for piece in await client.tokenize("a king")] != []
        found = await client.next_token(GREEDY, limit=5)
        assert found is not None
        assert found.kept == 1
        assert len(found.candidates) == 5

        (model / "config.json").unlink()
        with contextlib.suppress(ModelError):
            await client.load(asked)
        assert client.alive
        assert client.info is None
