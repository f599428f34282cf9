"""Many lives of the engine's process, each ended at another moment."""

import asyncio
import contextlib
import os
import random
import signal
from pathlib import Path

import psutil
import pytest

from gptterm.engine.api import Failed, Finished, LoadRequest
from gptterm.engine.ipc.client import EngineClient
from gptterm.errors import GpttermError
from tests.support.ipc_engines import collect, new_client, request, text_of
from tests.support.scripted import Script, write_script
from tests.support.waiting import gone, until

pytestmark = pytest.mark.slow
LIVES = 300


async def test_kills_and_cancels_at_any_moment(tmp_path: Path) -> None:
    chance = random.Random(0)
    script = Script.saying(
        ["x"], endless=True, rate=2000, load_s=0.02, prefill_s=0.005, prefill_chunks=4
    )
    asked = write_script(tmp_path, script)
    pids: set[int] = set()
    async with new_client(tmp_path) as client:
        await client.load(asked)
        descriptors = psutil.Process().num_fds()
        for _ in range(LIVES):
            live = asyncio.create_task(_load_and_generate(client, asked))
            # The moment is the point here: it falls into the start, load, prefill or decode.
            await asyncio.sleep(chance.random() * 0.25)
            if pid := client.pid:
                pids.add(pid)
            end = chance.choice(["kill -9", "kill", "cancel", "cancel the task", "close"])
            if end == "kill -9" and pid and not gone(pid):
                os.kill(pid, signal.SIGKILL)
            elif end == "kill":
                client.kill()
            elif end == "cancel the task":
                live.cancel()
            elif end == "close":
                await client.close()
            while not live.done():  # it may not have come to generating yet
                await client.cancel()
                await asyncio.wait([live], timeout=0.01)
            done = (await asyncio.gather(live, return_exceptions=True))[0]
            assert done is None or isinstance(done, GpttermError | asyncio.CancelledError), done
        await client.load(asked)
        events = await collect(client, request(max_tokens=10))
        assert text_of(events) == "x" * 10
        await until(lambda: psutil.Process().num_fds() <= descriptors, "descriptors to be closed")
    for pid in pids:
        await until(lambda pid=pid: gone(pid))  # type: ignore[misc]


async def _load_and_generate(client: EngineClient, asked: LoadRequest) -> None:
    if not client.alive or client.info is None:
        await client.load(asked)
    async with contextlib.aclosing(client.generate(request(max_tokens=10**6))) as stream:
        events = [event async for event in stream]
    assert isinstance(events[-1], Finished | Failed)
