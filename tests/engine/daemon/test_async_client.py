"""The asyncio client in front of warm engines: what the TUI loads models with."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

import pytest

from gptterm.engine.api import LoadRequest, ModelSource, SamplingParams, Token
from gptterm.engine.daemon import launcher, registry
from gptterm.engine.daemon.async_client import DaemonClient
from gptterm.engine.ipc.protocol import LoadProgress
from gptterm.errors import ModelError
from tests.support.daemon import ENDLESS, FOREVER, Client, opened
from tests.support.ipc_engines import collect, end_of, failure_of, request, text_of
from tests.support.scripted import FACTORY, STALLED, Fault, Script, write_script
from tests.support.waiting import gone, until

FINE = Script.saying("fine")


def new_client(
    keep_alive_s: float | None = None, *, cancel_deadline_s: float = 5.0
) -> DaemonClient:
    return DaemonClient(keep_alive_s, FACTORY, cancel_deadline_s=cancel_deadline_s)


async def test_with_no_engine_and_none_to_keep_it_is_a_process_of_its_own(
    folder: Path, tmp_path: Path
) -> None:
    async with new_client() as client:
        await client.start()
        assert client.alive
        info = await client.load(write_script(tmp_path, FINE))
        assert info.warm_pid is None
        assert text_of(await collect(client, request())) == "fine"
        pid = client.pid
        assert pid is not None
    assert gone(pid)
    assert list(folder.iterdir()) == []


async def test_it_attaches_to_an_engine_and_leaves_it_warm(folder: Path, tmp_path: Path) -> None:
    del folder
    asked = write_script(tmp_path, FINE)
    other = opened(asked)
    stages: list[LoadProgress] = []
    async with new_client() as client:
        await client.start()
        assert not client.alive  # a process that imports torch would be one too many
        info = await client.load(asked, stages.append)
        assert client.info == info
        assert info.warm_pid == client.pid == other.connection.pid
        assert text_of(await collect(client, request())) == "fine"
        assert [piece.piece for piece in await client.tokenize("a b")] == [b"a", b" b"]
        assert await client.next_token(SamplingParams()) is not None
    assert not client.alive
    assert text_of(list(other.generate(request()))) == "fine"


async def test_it_starts_one_that_is_to_be_kept(folder: Path, tmp_path: Path) -> None:
    del folder
    asked = write_script(tmp_path, Script.saying("fine", load_s=0.2))
    stages: list[str] = []
    async with new_client(FOREVER) as client:
        info = await client.load(asked, lambda progress: stages.append(progress.stage))
        assert stages[-1] == "loading"
        assert info.load_s > 0.2
        pid = client.pid
        assert pid is not None
    assert not gone(pid)
    assert opened(asked, None).connection.pid == pid


async def test_another_model_is_another_engine_or_a_process(folder: Path, tmp_path: Path) -> None:
    del folder
    asked = write_script(tmp_path, FINE)
    warm = opened(asked).connection.pid
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with new_client() as client:
        await client.load(asked)
        assert client.pid == warm
        info = await client.load(write_script(elsewhere, Script.saying("other")))
        own = client.pid
        assert info.warm_pid is None
        assert own is not None
        assert own != warm
        assert text_of(await collect(client, request())) == "other"
        missing = ModelSource(name="missing", directory=str(tmp_path / "missing"))
        with pytest.raises(ModelError):
            await client.load(LoadRequest(source=missing))
        await client.load(asked)
        assert client.pid == warm
        assert gone(own)
        assert text_of(await collect(client, request())) == "fine"


async def test_cancel_and_samplers(folder: Path, tmp_path: Path) -> None:
    del folder
    asked = write_script(tmp_path, Script(echo_sampling=True, rate=500))
    opened(asked).close()
    async with new_client() as client:
        await client.load(asked)
        seen: list[str] = []
        async with contextlib.aclosing(client.generate(request(max_tokens=10**6))) as events:
            async for event in events:
                if isinstance(event, Token):
                    seen.append(event.text)
                    if event.text == "1.5 ":
                        await client.cancel()
                    else:
                        await client.set_sampling(SamplingParams(temperature=1.5))
        assert "1.5 " in seen
        assert text_of(await collect(client, request(max_tokens=1))) == "0.8 "


async def test_it_waits_for_others_is_told_and_can_give_up(folder: Path, tmp_path: Path) -> None:
    del folder
    asked = write_script(tmp_path, ENDLESS)
    other = Client(asked)
    other.begin(request(max_tokens=10**6))
    await until(lambda: other.is_at(Token))
    told: list[int] = []
    async with DaemonClient(None, FACTORY, on_wait=told.append) as client:
        await client.load(asked)
        waiting = asyncio.create_task(collect(client, request(max_tokens=2)))
        await until(lambda: told == [1])
        await client.cancel()
        assert end_of(await waiting).reason == "cancelled"
        waiting = asyncio.create_task(collect(client, request(max_tokens=2)))
        await until(lambda: told == [1, 1])
        other.stop()
        assert text_of(await waiting) == " again" * 2


async def test_a_dead_engine_is_told_of_and_replaced(folder: Path, tmp_path: Path) -> None:
    del folder
    asked = write_script(tmp_path, ENDLESS)
    async with new_client(FOREVER) as client:
        await client.load(asked)
        pid = client.pid
        assert pid is not None
        generation = client.generate(request(max_tokens=10**6))
        await anext(generation)
        os.kill(pid, signal.SIGKILL)
        events = [event async for event in generation]
        assert f"the warm engine (process {pid}) ended" in failure_of(events).message
        assert not client.alive
        await client.load(asked)
        assert client.pid != pid
        assert text_of(await collect(client, request(max_tokens=1))) == " again"


async def test_an_engine_that_does_not_obey_is_left(folder: Path, tmp_path: Path) -> None:
    del folder
    fault = Fault(at="decode", how="stall", token=1, generation=1)
    asked = write_script(tmp_path, Script.saying("one two", faults=(fault,)))
    async with new_client(FOREVER, cancel_deadline_s=0.05) as client:
        await client.load(asked)
        pid = client.pid
        assert pid is not None
        running = asyncio.create_task(collect(client, request()))
        log = tmp_path / "home/engine.log"
        await until(lambda: STALLED in log.read_text())
        await client.cancel()
        assert "disconnected from the warm engine" in failure_of(await running).message
        assert "had not stopped after 0.05 s" in failure_of(await running).message
    assert not gone(pid)  # its own watch ends it, or `gptterm engine stop`


async def test_without_a_safe_place_it_is_a_process_of_its_own_and_says_so(
    folder: Path, tmp_path: Path
) -> None:
    folder.chmod(0o777)
    async with new_client(FOREVER) as client:
        info = await client.load(write_script(tmp_path, FINE))
        assert info.warm_pid is None
        assert any("no warm engine: " in notice for notice in info.notices)
        assert text_of(await collect(client, request())) == "fine"
    folder.chmod(0o700)
    assert registry.names(folder) == []
    assert launcher.list_daemons() == []
