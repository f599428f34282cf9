"""The engine's process and its client: everything that can break."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Literal

import psutil
import pytest

from gptterm.engine.api import Event, Prefilled, Token
from gptterm.engine.ipc.client import EngineClient
from gptterm.engine.ipc.engine_process import spawn
from gptterm.engine.ipc.exits import describe_exit
from gptterm.errors import GpttermError, ModelError, OutOfMemoryError
from gptterm.paths import engine_log
from tests.support.ipc_engines import (
    collect,
    end_of,
    failure_of,
    hosted,
    new_client,
    request,
    text_of,
)
from tests.support.scripted import FACTORY, STALLED, Fault, Script, write_script
from tests.support.waiting import DEADLINE_S, gone, until

Moment = Literal["load", "prefill", "decode"]
FINE = Script.saying("fine again")


def breaking(at: Moment, how: str, token: int = 2, **options: object) -> Script:
    fault = Fault(at=at, how=how, token=token if at == "decode" else 0)  # type: ignore[arg-type]
    return Script.saying("one two three four", faults=(fault,), **options)


async def goes_on(client: EngineClient, directory: Path) -> bool:
    """Whether the client can load again and generate."""
    await client.load(write_script(directory, FINE))
    return text_of(await collect(client, request())) == "fine again"


async def stalled_load(client: EngineClient, directory: Path) -> "asyncio.Task[object]":
    """A load that has begun and will not end."""
    stages: list[str] = []
    script = write_script(directory, breaking("load", "stall"))
    loading: asyncio.Task[object] = asyncio.create_task(
        client.load(script, lambda progress: stages.append(progress.stage))
    )
    await until(lambda: "loading" in stages)
    return loading


def stalled(directory: Path) -> bool:
    """Whether the engine whose log is in `directory` is stuck."""
    return STALLED in (directory / "engine.log").read_text()


# ------------------------------------------------------------------------------------- load


@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        ("raise", ModelError, "RuntimeError: the script says so"),
        ("panic", ModelError, "PanicException: called"),
        ("out_of_memory", OutOfMemoryError, "no memory"),
        ("die", ModelError, "SIGKILL while it loaded scripted"),
        ("segfault", ModelError, "SIGSEGV while it loaded scripted"),
        ("cuda", ModelError, "device-side assert"),
    ],
)
async def test_a_load_that_breaks(
    tmp_path: Path, how: str, error: type[GpttermError], says: str
) -> None:
    async with new_client(tmp_path) as client:
        with pytest.raises(error, match=says) as raised:
            await client.load(write_script(tmp_path, breaking("load", how)))
        assert "\n" not in str(raised.value)
        if how != "out_of_memory":
            assert str(tmp_path / "engine.log") in str(raised.value)
        assert client.alive == (how in ("raise", "panic", "out_of_memory"))
        assert await goes_on(client, tmp_path)


async def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    asked = write_script(tmp_path, FINE)
    (tmp_path / "script.json").unlink()
    async with new_client(tmp_path) as client:
        with pytest.raises(ModelError, match="no script"):
            await client.load(asked)
        assert await goes_on(client, tmp_path)


@pytest.mark.parametrize(
    "factory", ["gptterm.no_such_module:load", "gptterm.engine.api:no_such_function"]
)
async def test_an_engine_that_cannot_be_imported(tmp_path: Path, factory: str) -> None:
    async with new_client(tmp_path, factory) as client:
        with pytest.raises(ModelError, match="no_such"):
            await client.load(write_script(tmp_path, FINE))


async def test_a_python_that_cannot_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    with pytest.raises(GpttermError, match="cannot be started"):
        await new_client(tmp_path).load(write_script(tmp_path, FINE))


async def test_a_load_that_is_given_up_is_killed(tmp_path: Path) -> None:
    async with new_client(tmp_path) as client:
        loading = await stalled_load(client, tmp_path)
        with pytest.raises(GpttermError, match="another model"):
            await client.load(write_script(tmp_path, FINE))
        pid = client.pid
        assert pid is not None
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
        await until(lambda: gone(pid))
        await until(lambda: not client.alive)
        assert await goes_on(client, tmp_path)


async def test_another_load_right_after_one_that_was_given_up(tmp_path: Path) -> None:
    """The killed process has not been waited for by then."""
    async with new_client(tmp_path) as client:
        loading = await stalled_load(client, tmp_path)
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
        assert await goes_on(client, tmp_path)


async def test_close_during_a_load_does_not_wait_for_it(tmp_path: Path) -> None:
    client = new_client(tmp_path, close_deadline_s=10 * DEADLINE_S)
    asked = write_script(tmp_path, breaking("load", "stall"))
    loading = asyncio.create_task(client.load(asked))
    await until(lambda: client.pid)
    await client.close()
    with pytest.raises(ModelError, match="it was closed"):
        await loading


# ------------------------------------------------------------------------- prefill, decode


@pytest.mark.parametrize("at", ["prefill", "decode"])
@pytest.mark.parametrize(
    ("how", "kind", "says", "lives"),
    [
        ("raise", "internal", "RuntimeError: the script says so", True),
        ("panic", "internal", "PanicException: called", True),
        ("out_of_memory", "out_of_memory", "smaller model", True),
        ("die", "internal", "SIGKILL", False),
        ("segfault", "internal", "SIGSEGV", False),
        ("cuda", "internal", "device-side assert", False),
    ],
)
async def test_a_generation_that_breaks(
    tmp_path: Path, at: Moment, how: str, kind: str, says: str, lives: bool
) -> None:
    async with hosted(tmp_path, breaking(at, how, rate=50)) as client:
        events = await collect(client, request())
        failure = failure_of(events)
        assert failure.kind == kind
        assert says in failure.message
        assert "\n" not in failure.message
        written = "one two" if at == "decode" else ""
        # A process that is killed takes with it the tokens of its last milliseconds.
        assert text_of(events) == written if lives else written.startswith(text_of(events))
        if lives:
            assert failure_of(await collect(client, request())).kind == kind
        else:
            await until(lambda: not client.alive)
            assert client.pid is None
            assert failure_of(await collect(client, request())).kind == "internal"
            with pytest.raises(GpttermError):
                await client.tokenize("a")
        assert await goes_on(client, tmp_path)


async def test_kill_9_in_each_moment(tmp_path: Path) -> None:
    async with new_client(tmp_path) as client:
        loading = await stalled_load(client, tmp_path)
        _kill(client)
        with pytest.raises(ModelError, match=r"SIGKILL while it loaded scripted; its log is /"):
            await loading

        slow = Script.saying("x", prefill_chunks=10**6, prefill_s=0.001)
        await client.load(write_script(tmp_path, slow))
        assert "SIGKILL while it read the prompt" in await _killed_at(client, Prefilled)

        endless = Script.saying(["x"], endless=True, rate=100)
        await client.load(write_script(tmp_path, endless))
        assert "SIGKILL in the middle of a reply" in await _killed_at(client, Token)

        await client.load(write_script(tmp_path, FINE))
        asking = asyncio.create_task(client.tokenize("a"))
        _kill(client)
        await asyncio.gather(asking, return_exceptions=True)  # it may have been answered in time
        await until(lambda: not client.alive)
        assert "SIGKILL while it was idle" in failure_of(await collect(client, request())).message
        assert await goes_on(client, tmp_path)


async def _killed_at(client: EngineClient, moment: type[Event]) -> str:
    events: list[Event] = []
    async for event in client.generate(request(max_tokens=10**6)):
        if isinstance(event, moment) and not any(isinstance(e, moment) for e in events):
            _kill(client)
        events.append(event)
    assert failure_of(events).kind == "internal"
    return failure_of(events).message


def _kill(client: EngineClient) -> None:
    assert client.pid is not None
    os.kill(client.pid, signal.SIGKILL)


@pytest.mark.parametrize("at", ["prefill", "decode"])
async def test_an_engine_that_ignores_a_cancel_is_killed(tmp_path: Path, at: Moment) -> None:
    async with hosted(tmp_path, breaking(at, "stall"), cancel_deadline_s=0.05) as client:
        pid = client.pid
        assert pid is not None
        running = asyncio.create_task(collect(client, request()))
        await until(lambda: stalled(tmp_path))
        await client.cancel()
        assert "had not stopped after 0.05 s" in failure_of(await running).message
        assert gone(pid)
        assert await goes_on(client, tmp_path)


async def test_leaving_a_stuck_generation_kills_it_too(tmp_path: Path) -> None:
    script = breaking("decode", "stall", token=0)
    async with hosted(tmp_path, script, cancel_deadline_s=0.05) as client:
        generation = client.generate(request())
        await anext(generation)
        await until(lambda: stalled(tmp_path))
        await generation.aclose()
        assert not client.alive
        assert await goes_on(client, tmp_path)


async def test_a_stuck_engine_does_not_hold_up_close(tmp_path: Path) -> None:
    async with hosted(tmp_path, breaking("decode", "stall"), close_deadline_s=0.05) as client:
        pid = client.pid
        assert pid is not None
        running = asyncio.create_task(collect(client, request()))
        await until(lambda: stalled(tmp_path))
        await client.close()
        assert gone(pid)
        assert "it was closed" in failure_of(await running).message


async def test_close_in_the_middle_of_a_reply_is_obeyed(tmp_path: Path) -> None:
    endless = Script.saying(["x"], endless=True, rate=100)
    async with hosted(tmp_path, endless, close_deadline_s=DEADLINE_S) as client:
        running = asyncio.create_task(collect(client, request(max_tokens=10**6)))
        await until(lambda: client.busy)
        await client.close()
        assert end_of(await running).reason == "cancelled"
        assert not client.alive


async def test_nonsense_on_the_wire_ends_the_process(tmp_path: Path) -> None:
    async with hosted(tmp_path, FINE) as client:
        connection = client._connection
        assert connection is not None
        nonsense = b"\x00\x00\x00\x01\xff"
        connection.get_buffer(-1)[: len(nonsense)] = nonsense
        connection.buffer_updated(len(nonsense))
        await until(lambda: not client.alive)
        assert (
            "protocol error from the engine" in failure_of(await collect(client, request())).message
        )
        assert await goes_on(client, tmp_path)


# ---------------------------------------------------------------------------------- orphans

PARENT = """
import asyncio, sys
from pathlib import Path
from gptterm.engine.ipc.client import EngineClient
from tests.support.ipc_engines import request
from tests.support.scripted import FACTORY, load
from gptterm.engine.api import LoadRequest, ModelSource

async def main(directory):
    client = EngineClient(FACTORY, log=Path(directory, "engine.log"))
    await client.start()
    def stage(progress):
        if progress.stage == "loading":
            print(client.pid, flush=True)
    await client.load(LoadRequest(source=ModelSource(name="s", directory=directory)), stage)
    async for event in client.generate(request(max_tokens=10**6)):
        print(type(event).__name__, flush=True)

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize("moment", ["load", "prefill", "decode", "endless"])
async def test_no_orphan_when_the_parent_is_killed(tmp_path: Path, moment: str) -> None:
    if moment == "endless":
        script = Script.saying(["x"], endless=True, rate=1000)
    else:
        script = breaking(moment, "stall")  # type: ignore[arg-type]
    write_script(tmp_path, script)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    awaited = {"load": "", "prefill": "Started", "decode": "Token", "endless": "Token"}[moment]
    while awaited and parent.stdout.readline().strip() != awaited:
        assert parent.poll() is None
    assert not gone(pid)
    parent.kill()
    parent.wait()
    await until(lambda: gone(pid), "the engine's process to end")
    parent.stdout.close()


async def test_the_process_ends_with_its_socket_even_in_a_stuck_load(tmp_path: Path) -> None:
    """The kernel's parent-death signal does not come here: the parent lives on."""
    async with new_client(tmp_path) as client:
        loading = await stalled_load(client, tmp_path)
        connection = client._connection
        assert connection is not None
        assert connection._transport is not None
        connection._transport.abort()
        with pytest.raises(ModelError, match="exit code 0"):
            await loading


async def test_a_process_whose_parent_died_before_it_looked_ends_at_once() -> None:
    ours, theirs = socket.socketpair()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gptterm.engine.ipc.child_main", f"--socket={theirs.fileno()}",
        "--parent=1", f"--factory={FACTORY}", pass_fds=[theirs.fileno()],
    )  # fmt: skip
    theirs.close()
    assert await process.wait() == 0
    ours.close()


async def test_kill_takes_what_the_process_started_with_it(tmp_path: Path) -> None:
    async with new_client(
        tmp_path, "tests.engine.ipc.test_client_faults:load_with_a_child"
    ) as client:
        await client.load(write_script(tmp_path, FINE))
        assert client.pid is not None
        (child,) = psutil.Process(client.pid).children()
        client.kill()
        await until(lambda: gone(child.pid))


def load_with_a_child(_request: object) -> object:
    """A factory whose engine starts a process that would outlive it."""
    from tests.support.scripted import ScriptedEngine

    subprocess.Popen(["sleep", "1000"])
    return ScriptedEngine(FINE)


# ------------------------------------------------------------------------- what it died of


def test_the_memory_killer_is_named_when_it_was_there() -> None:
    kind, message = describe_exit(-9, "while it wrote", Path("/x.log"), memory_ran_out=True)
    assert kind == "out_of_memory"
    assert "ran out of memory" in message
    assert "SIGKILL" in message
    kind, message = describe_exit(-9, "while it wrote", Path("/x.log"), memory_ran_out=False)
    assert kind == "internal"
    assert message == "the engine was killed by SIGKILL while it wrote; its log is /x.log"
    kind, message = describe_exit(-7, "while it wrote", Path("/x.log"), memory_ran_out=False)
    assert kind == "model"
    assert "by SIGBUS while it wrote: the model's files were cut short" in message
    assert "exit code 3" in describe_exit(3, "", Path("/x"), memory_ran_out=True)[1]
    assert "signal 99" in describe_exit(-99, "", Path("/x"), memory_ran_out=True)[1]


def test_the_log_lies_in_the_home_that_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPTTERM_HOME", "/somewhere")
    assert engine_log() == Path("/somewhere/engine.log")
    monkeypatch.delenv("GPTTERM_HOME")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    if sys.platform == "linux":
        assert engine_log() == Path("/state/gptterm/engine.log")


async def test_spawn_leaves_no_descriptor_behind(tmp_path: Path) -> None:
    before = psutil.Process().num_fds()
    process, ours = await spawn(FACTORY, tmp_path / "log")
    ours.close()
    await process.wait()
    assert psutil.Process().num_fds() <= before
