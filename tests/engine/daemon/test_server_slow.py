"""Many clients of one engine, that come, go, give up and kill it at any moment."""

import contextlib
import os
import random
import signal
import threading
from pathlib import Path

import pytest

from gptterm.engine.api import Failed, Finished, LoadRequest
from gptterm.engine.daemon import launcher
from gptterm.errors import GpttermError
from tests.support.daemon import opened
from tests.support.ipc_engines import request, text_of
from tests.support.scripted import Script, write_script
from tests.support.waiting import gone, wait_until

pytestmark = pytest.mark.slow
LIVES, CLIENTS = 120, 6


def test_clients_and_engines_end_at_any_moment(folder: Path, tmp_path: Path) -> None:
    asked = write_script(
        tmp_path, Script.saying(["x"], endless=True, rate=2000, load_s=0.02, prefill_s=0.002)
    )
    pids: set[int] = set()
    wrong: list[BaseException] = []

    def live(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for _ in range(LIVES):
                _one_life(asked, chance, pids)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=live, args=(i,), daemon=True) for i in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
        assert not thread.is_alive()
    assert wrong == []
    engine = opened(asked)
    assert text_of(list(engine.generate(request(max_tokens=10)))) == "x" * 10
    assert len(launcher.list_daemons()) == 1
    pids.discard(engine.connection.pid)
    for pid in pids:
        wait_until(lambda pid=pid: gone(pid))  # type: ignore[misc]
    assert len(list(folder.glob("*.sock"))) == 1


def _one_life(asked: LoadRequest, chance: random.Random, pids: set[int]) -> None:
    try:
        engine = opened(asked, chance.choice([0.0, 0.05, 60.0]))
    except GpttermError:
        return  # it was killed while it loaded
    pid = engine.connection.pid
    pids.add(pid)
    count = chance.randrange(1, 60)
    end = chance.choice(["all", "all", "close", "hang up", "kill -9", "stop"])
    last = None
    with contextlib.closing(engine.generate(request(max_tokens=count))) as events:
        for number, event in enumerate(events):
            last = event
            if number < count // 2 or end == "all":
                continue
            if end in ("kill -9", "stop") and chance.random() < 0.2:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL if end == "kill -9" else signal.SIGTERM)
                end = "all"
            elif end == "close":
                break
            elif end == "hang up":
                engine.close()
                break
    if end == "all":
        assert isinstance(last, Finished | Failed), last
    pids.add(engine.connection.pid)
    engine.close()
