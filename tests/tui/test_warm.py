"""The TUI at a warm engine, which others use too."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gptterm.engine.api import LoadRequest, ModelSource, Token
from gptterm.engine.daemon.async_client import DaemonClient
from tests.support.daemon import FOREVER, Client, opened, private_runtime_directory
from tests.support.ipc_engines import request
from tests.support.scripted import FACTORY, Script
from tests.support.waiting import gone
from tests.tui.conftest import Open

ENDLESS = Script.saying([" again"], endless=True, rate=200)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path) -> Iterator[LoadRequest]:
    """The scripted model in a place for engines of the test's own."""
    with private_runtime_directory(monkeypatch, home):
        # `open_tui` writes the script.
        yield LoadRequest(source=ModelSource(name="scripted", directory=str(tmp_path)))


def warm_client(keep_alive_s: float | None = None) -> DaemonClient:
    return DaemonClient(keep_alive_s, FACTORY)


async def test_the_status_line_says_that_the_engine_is_warm(
    open_tui: Open, asked: LoadRequest
) -> None:
    async with open_tui(client=warm_client(FOREVER)) as desk:
        await desk.ready()
        assert "cpu · float32 · warm" in desk.rows[0]
        await desk.say("hi")
        pid = desk.controller.engine.client.pid
    assert pid is not None
    assert not gone(pid)
    assert opened(asked, None).connection.pid == pid


async def test_a_reply_that_waits_for_others_says_so_until_its_turn_comes(
    open_tui: Open, asked: LoadRequest
) -> None:
    async with open_tui(ENDLESS, client=warm_client(FOREVER), max_tokens=3) as desk:
        await desk.ready()
        other = Client(asked)
        other.begin(request(max_tokens=10**6))
        await desk.until(lambda: other.is_at(Token))
        notice = "waiting: the engine has 1 other reply to write first"
        desk.screen.prompt.put("hi")
        await desk.press("enter")
        await desk.until(lambda: desk.text.count(notice) == 2)  # under the turn, in the status
        await desk.press("escape")
        await desk.until(lambda: desk.idle and "stopped" in desk.notice)
        assert notice not in desk.text
        await desk.press("ctrl+r")
        await desk.until(lambda: notice in desk.text)
        other.stop()
        await desk.until(lambda: desk.idle and desk.turns[-1] == ("assistant", " again" * 3))
        assert notice not in desk.text


async def test_an_engine_that_others_end_is_replaced(open_tui: Open, asked: LoadRequest) -> None:
    del asked
    async with open_tui(ENDLESS, client=warm_client(FOREVER)) as desk:
        await desk.ready()
        desk.screen.prompt.put("hi")
        await desk.press("enter")
        await desk.until(lambda: "again again" in desk.text)
        pid = desk.controller.engine.client.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await desk.until(lambda: "the engine was restarted" in desk.notice)
        assert "✗ failed" in desk.text
        assert "again again" in desk.text
        assert desk.controller.engine.client.pid != pid
