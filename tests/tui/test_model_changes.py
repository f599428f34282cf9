"""Models chosen while others load, messages meanwhile, engines that die: the last one counts."""

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gptterm.config import Settings, load_settings
from gptterm.engine.api import ModelSource
from gptterm.engine.ipc import engine_process
from gptterm.engine.ipc.client import EngineClient
from gptterm.errors import ModelError
from gptterm.tui.state.controller import Controller
from gptterm.tui.state.engine_manager import Finder, find_model, new_client
from gptterm.tui.state.events import ControllerEvent, Notified
from tests.support.gpt2 import write_gpt2
from tests.support.scripted import FACTORY, Script, write_script
from tests.support.waiting import until

LOAD_S = {"quick": 0.0, "slow": 0.15, "slower": 0.3}
MISSING = "missing"
LATE_S = 0.05

Step = tuple[str, float | str]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("turns of the loop"), st.integers(0, 5)),
        st.tuples(st.just("seconds"), st.sampled_from([0.01, 0.05, 0.1, 0.15, 0.2, 0.3])),
        st.tuples(st.just("load"), st.sampled_from([*LOAD_S, *LOAD_S, MISSING])),
        st.tuples(st.sampled_from(["send", "stop", "kill"]), st.just("")),
    ),
    min_size=2,
    max_size=10,
)


@pytest.fixture(autouse=True)
def own_children(forked_engines: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """Here engines are this process's children: each is killed by what it is."""
    monkeypatch.setattr("gptterm.engine.ipc.client.spawn", engine_process.spawn)


def scripted_finder(folder: Path) -> Finder:
    """Finds scripts; its reports go on after it was cancelled, like those of a thread."""
    for name, seconds in LOAD_S.items():
        (folder / name).mkdir()
        write_script(folder / name, Script.saying(f"I am {name}", load_s=seconds, rate=100))

    async def find(asked: Settings, report: Callable[[str], None]) -> ModelSource:
        asyncio.get_running_loop().call_later(LATE_S, report, "downloading")
        await asyncio.sleep(LATE_S / 2)
        if asked.model == MISSING:
            raise ModelError("there is no such model")
        return ModelSource(name=asked.model, directory=str(folder / asked.model))

    return find


@contextlib.asynccontextmanager
async def controller(
    folder: Path, model: str, client: EngineClient, find: Finder, said: list[ControllerEvent]
) -> AsyncIterator[Controller]:
    """A controller that loads a model."""
    chosen = load_settings({"model": model, "max_tokens": 4, "save": False, "temperature": 0})
    opened = Controller(chosen, said.append, client, find, history=folder / "history.db")
    await opened.open_history(None)
    opened.loader.load()
    try:
        yield opened
    finally:
        await opened.close()


async def answer(opened: Controller) -> tuple[str, str]:
    """The model and the text of the reply to one more message."""

    def is_settled() -> bool:
        return not opened.is_busy(opened.chat) or opened.engine.phase == "failed"

    await until(is_settled, "earlier messages")
    opened.send("who are you?")
    await until(is_settled, "the reply")
    if opened.engine.phase == "failed":
        # Killed during a load, without a model before it: the next message loads it again.
        opened.send("who are you?")
        await until(lambda: not opened.is_busy(opened.chat), "the second reply")
    leaf = opened.chat.tree.leaf
    assert leaf is not None
    node = opened.chat.tree.node(leaf)
    return node.model, node.text


async def do(opened: Controller, step: Step) -> None:
    """Take one step."""
    match step:
        case "turns of the loop", int(turns):
            for _ in range(turns):
                await asyncio.sleep(0)
        case "seconds", float(seconds):
            await asyncio.sleep(seconds)
        case "load", str(name):
            opened.loader.load(name)
        case "send", _:
            opened.send("hello")
        case "stop", _:
            opened.stop()
        case "kill", _:
            if (pid := opened.engine.client.pid) is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                # A reply that is asked for before the end is seen fails.
                await until(lambda: opened.engine.client.pid != pid, "the end of the engine")


async def play(steps: Sequence[Step]) -> None:
    """Take the steps, then ask who answers."""
    said: list[ControllerEvent] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        client = EngineClient(factory=FACTORY, log=folder / "engine.log")
        before = set(psutil.Process().children())
        async with controller(folder, "slow", client, scripted_finder(folder), said) as opened:
            for step in steps:
                await do(opened, step)
            model, text = await answer(opened)
            await asyncio.sleep(2 * LATE_S)
            await until(lambda: opened.engine.ready, "a model")
            assert opened.engine.info is not None
            assert model == opened.engine.info.name == opened.settings.model
            assert text == f"I am {model}"
            loads = [chosen for kind, chosen in steps if kind == "load"]
            if loads and loads[-1] != MISSING and ("kill", "") not in steps:
                assert model == loads[-1]
                problems = {e.text for e in said if isinstance(e, Notified)}
                assert problems <= {"there is no such model"}
            assert len(set(psutil.Process().children()) - before) == 1


def quick(examples: int) -> Callable[..., object]:
    """Settings for examples that start processes."""
    return settings(
        max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )


@quick(8)
@given(STEPS)
def test_the_model_chosen_last_answers(steps: list[Step]) -> None:
    asyncio.run(play(steps))


@pytest.mark.slow
@quick(400)
@given(STEPS)
def test_the_model_chosen_last_answers_in_many_orders(steps: list[Step]) -> None:
    asyncio.run(play(steps))


@pytest.mark.parametrize(
    "steps",
    [
        # A model that cannot be found after one that was not loaded yet: the first one stays.
        [("seconds", 0.5), ("load", "slower"), ("seconds", 0.1), ("load", MISSING)],
        [("load", "slower"), ("seconds", 0.2), ("load", "quick"), ("send", "")],
        [("seconds", 0.5), ("send", ""), ("load", "slower"), ("kill", ""), ("load", "quick")],
        [("seconds", 0.5), ("kill", ""), ("send", ""), ("load", "quick")],
    ],
)
async def test_examples(steps: list[Step]) -> None:
    await play(steps)


async def test_the_engine_of_the_users_does_the_same(tmp_path: Path) -> None:
    write_gpt2(tmp_path / "one", says="one and one ")
    write_gpt2(tmp_path / "two", says="two and two ")
    said: list[ControllerEvent] = []
    client = new_client(load_settings({}))
    async with controller(tmp_path, "tiny", client, find_model, said) as opened:
        await until(lambda: opened.engine.phase == "loading")
        opened.loader.load(str(tmp_path / "one"))
        await until(lambda: opened.engine.activity == "loading")
        opened.change(top_k=3)
        opened.loader.load(str(tmp_path / "two"))
        await until(lambda: opened.engine.phase == "loading")
        opened.loader.load(str(tmp_path / "three"))
        await until(lambda: not opened.chat_list.current.empty or opened.engine.error)
        opened.loader.load(str(tmp_path / "two"))
        model, text = await answer(opened)
        assert model == opened.settings.model == str(tmp_path / "two")
        assert "tw" in text
        # What was set while they loaded stays.
        assert opened.settings.sampling.top_k == 3


async def test_a_model_that_fails_leaves_other_settings_alone(tmp_path: Path) -> None:
    said: list[ControllerEvent] = []
    client = EngineClient(factory=FACTORY, log=tmp_path / "engine.log")
    async with controller(tmp_path, "quick", client, scripted_finder(tmp_path), said) as opened:
        await until(lambda: opened.engine.ready)
        opened.loader.load("slower")
        opened.loader.load(MISSING)
        opened.change(top_k=7)
        await until(lambda: opened.engine.error)
        assert await answer(opened) == ("quick", "I am quick")
        assert opened.settings.model == "quick"
        assert opened.settings.sampling.top_k == 7
