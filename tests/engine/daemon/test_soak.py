"""Thousands of requests to one warm engine: nothing of it grows."""

import os
import random
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from gptterm.engine.api import (
    ChatPrompt,
    Finished,
    GenerateRequest,
    LoadRequest,
    Message,
    ModelSource,
    SamplingParams,
    TextPrompt,
)
from gptterm.engine.daemon.sync_client import DaemonEngine
from gptterm.engine.ipc import LOCAL_ENGINE
from gptterm.engine.runtime.log import LOG_LIMIT
from gptterm.models import resolve
from gptterm.paths import engine_log
from tests.support.daemon import opened

REQUESTS, WARM_UP = 2000, 400


class Size(NamedTuple):
    """Memory, descriptors and threads of a process."""

    memory: int
    descriptors: int
    threads: int


def size_of(pid: int) -> Size:
    process = psutil.Process(pid)
    return Size(process.memory_info().rss, process.num_fds(), process.num_threads())


def one(engine: DaemonEngine, dice: random.Random, number: int) -> None:
    """A request of any kind: whole, given up, of samples, with stops, refused."""
    text = f"Once upon a time, number {number}: " + "word " * dice.randrange(60)
    prompt = TextPrompt(text=text) if number % 2 else ChatPrompt(
        messages=(Message(role="user", text=text),)
    )  # fmt: skip
    asked = GenerateRequest(
        prompt=prompt, seed=number, max_tokens=dice.randrange(1, 12),
        samples=dice.choice([1, 1, 3]),
        stop=("the",) if number % 5 == 0 else (), sampling=SamplingParams(top_k=number % 40),
        logprobs=2 if number % 7 == 0 else None,
    )  # fmt: skip
    last = None
    events = engine.generate(asked)
    for event in events:
        last = event
        if number % 11 == 0:
            break
    events.close()
    assert number % 11 == 0 or isinstance(last, Finished)


@pytest.mark.slow
def test_two_thousand_requests(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del folder
    found = resolve("tiny", offline=True)
    asked = LoadRequest(source=ModelSource(name="tiny", directory=found.directory), device="cpu")
    dice, before = random.Random(1), Size(0, 0, 0)
    engine = opened(asked, factory=LOCAL_ENGINE)
    pid = engine.connection.pid
    for number in range(REQUESTS):
        if number == WARM_UP:
            before = size_of(pid)
        if number % 20 == 0:  # clients come and go
            engine.close()
            engine = opened(asked, factory=LOCAL_ENGINE)
        one(engine, dice, number)
    after = size_of(pid)
    log = os.path.getsize(engine_log())
    with capsys.disabled():
        print(f"\n{REQUESTS} requests: {before} → {after}, log {log} bytes")  # noqa: T201
    assert engine.connection.pid == pid
    assert after.memory - before.memory < 8 << 20
    assert after.descriptors <= before.descriptors + 2
    assert after.threads <= before.threads + 2
    assert log < LOG_LIMIT
