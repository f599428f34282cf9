"""The TUI with the scripted engine in a process of its own, driven by Textual's pilot."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from textual._compositor import Compositor
from textual._wait import wait_for_idle
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.pilot import Pilot

from gptterm.config import Settings, TuiSettings, load_settings
from gptterm.engine.api import ModelSource
from gptterm.engine.ipc.client import EngineClient
from gptterm.errors import ModelError
from gptterm.tui.actions import stop
from gptterm.tui.app import GpttermApp
from gptterm.tui.result import ContinuePlain
from gptterm.tui.state.engine_manager import find_model
from gptterm.tui.widgets import notice
from tests.support.engine_forks import EngineForks
from tests.support.scripted import FACTORY, Script, write_script

TRIES = 500
PAUSE_S = 0.02
IDLE_WITHIN_S = 0.1

Open = Callable[..., AbstractAsyncContextManager["Desk"]]


class Desk:
    """An open TUI and the hands on it."""

    def __init__(self, app: GpttermApp, pilot: Pilot[int | ContinuePlain]) -> None:
        self.app = app
        self.pilot = pilot
        self.screen = app.chat_screen
        self.controller = app.controller

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so; fail if it never is."""
        for _ in range(TRIES):
            if condition():
                await self.pilot.pause()
                return
            await self.pilot.pause(PAUSE_S)
        raise AssertionError(f"it never was so; the screen:\n{self.text}")

    async def ready(self) -> None:
        """Wait for the model and the history."""
        await self.until(
            lambda: self.controller.engine.ready and self.controller.chat_list.is_settled
        )

    async def open_last(self) -> None:
        """Open the chat that was written last."""
        await self.until(lambda: self.controller.chat_list.is_settled)
        chat_list = self.controller.chat_list
        empty = chat_list.current.key
        await chat_list.show(next(e.key for e in chat_list.entries() if e.key != empty))

    async def press(self, *keys: str) -> None:
        """Press keys, and let the screen catch up."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        """Type into what has the focus."""
        await self.press(*("space" if c == " " else c for c in text))

    async def say(self, text: str) -> None:
        """Send a message and wait for the end of its answer."""
        before = len(self.controller.chat.tree)
        self.screen.prompt.put(text)
        await self.press("enter")
        await self.until(lambda: len(self.controller.chat.tree) >= before + 2 and self.idle)

    @property
    def idle(self) -> bool:
        """Nothing is generated or waiting."""
        return self.controller.replying is None and not self.controller.is_busy(
            self.controller.chat
        )

    @property
    def rows(self) -> list[str]:
        """The screen as rows of text."""
        width, height = self.app.size
        lines = self.app.screen._compositor.render_strips()
        return [line.text.rstrip() for line in lines[:height] if width]

    @property
    def text(self) -> str:
        """The screen as text."""
        return "\n".join(self.rows)

    @property
    def notice(self) -> str:
        """The last line that was said."""
        said = self.screen.notice_line.history
        return said[-1].text if said else ""

    @property
    def turns(self) -> list[tuple[str, str]]:
        """Role and text of the open path."""
        tree = self.controller.chat.tree
        return [(tree.node(key).role, tree.node(key).text) for key in tree.path()]


@pytest.fixture(autouse=True, scope="session")
def parsed_styles() -> Iterator[None]:
    """Styles are parsed once for all apps: a tenth of what an app's start costs."""
    parse = Stylesheet._parse_rules
    parsed: dict[object, list[RuleSet]] = {}

    def parse_once(self: Stylesheet, *args: Any, **options: Any) -> list[RuleSet]:
        key = *self._variables.items(), *args, *options.items()
        if key not in parsed:
            parsed[key] = parse(self, *args, **options)
        return parsed[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", parse_once)
        yield


@pytest.fixture(scope="session")
def engine_forks() -> EngineForks:
    """A process that has imported what engines import."""
    return EngineForks()


@pytest.fixture(autouse=True)
def forked_engines(engine_forks: EngineForks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines are forks of a process that has imported them: two thirds of the cost of each."""
    if engine_forks.fits:
        monkeypatch.setattr("gptterm.engine.ipc.client.spawn", engine_forks.spawn)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, two presses of a key may be seconds apart."""
    monkeypatch.setattr(stop, "QUIT_WITHIN_S", 60.0)
    monkeypatch.setattr(stop, "BACK_WITHIN_S", 0.0)
    monkeypatch.setattr(notice, "LIFE_S", {})


@pytest.fixture(autouse=True)
def light_heap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the tests have imported out of the app's garbage collections.

    The app collects at the beginning and at the end of each reply: with torch's modules in the same
    process, that was a third of these tests' CPU time. Nor does it collect more often than pytest.
    """
    gc.collect()
    gc.freeze()
    own = {"unfreeze": gc.freeze, "set_threshold": lambda *_: None}
    monkeypatch.setattr("gptterm.tui.app.gc", SimpleNamespace(freeze=gc.freeze, **own))


@pytest.fixture(autouse=True, scope="session")
def busy() -> Iterator[None]:
    """While a reply streams, the app is never idle: a key is not waited after for a second."""
    short = partial(wait_for_idle, max_sleep=IDLE_WITHIN_S)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textual.app.wait_for_idle", short)
        patch.setattr("textual.pilot.wait_for_idle", short)
        yield


@pytest.fixture(autouse=True)
def unseen_frames(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave frames out that go to no terminal: they were a third of these tests' CPU time.

    A test that looks at the screen draws it. Tests of frames are marked `frames`; the apps in a
    terminal, where walks press all keys, draw each of theirs.
    """
    if request.node.get_closest_marker("frames"):
        return
    draw = Compositor.render_update

    def draw_screenshots(self: Compositor, full: bool = False, *rest: Any, **options: Any) -> Any:
        if full:
            return draw(self, full, *rest, **options)
        self._dirty_regions.clear()
        return None

    monkeypatch.setattr(Compositor, "render_update", draw_screenshots)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own for settings and logs, and no help from the user's environment."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("GPTTERM_HOME", str(folder))
    for name in ("TMUX", "DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION", "COLORFGBG", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def path(home: Path) -> Path:
    """Of the history."""
    return home / "history.db"


@pytest.fixture
def open_tui(tmp_path: Path, home: Path) -> Open:
    """Opens the TUI: `async with open_tui(script, size=(140, 40), temperature=0) as desk`.

    Args:
        found: The model is not found before this is set.
        last: Open the chat that was written last.
        real: With the bundled model instead of the script.
    """

    @asynccontextmanager
    async def opened(
        script: Script | None = None,
        *,
        size: tuple[int, int] = (140, 40),
        prompt: str | None = None,
        tui: TuiSettings | None = None,
        conversation: str | None = None,
        client: EngineClient | None = None,
        found: asyncio.Event | None = None,
        last: bool = False,
        real: bool = False,
        **options: object,
    ) -> AsyncIterator[Desk]:
        request = write_script(tmp_path, script or Script.saying("Hello, world."), name="gpt2")

        async def find(settings: Settings, report: Callable[[str], None]) -> ModelSource:
            report("looking for the model")
            if found is not None:
                await found.wait()
            if settings.remote is not None:
                return await find_model(settings, report)
            if settings.model == "missing":
                raise ModelError("there is no model called missing")
            return msgspec.structs.replace(request.source, name=settings.model)

        if real:
            options.setdefault("model", "tiny")
        if script is not None and script.endless:
            # On a slow day the usual limit comes before what a test does meanwhile.
            options.setdefault("max_tokens", 9999)
        settings = load_settings(options)
        if tui is not None:
            settings = msgspec.structs.replace(settings, tui=tui)
        log = home / "engine.log"
        client = client or (EngineClient(log=log) if real else EngineClient(FACTORY, log=log))
        finder = find_model if real else find
        app = GpttermApp(settings, prompt, client, finder, conversation=conversation)
        async with app.run_test(size=size) as pilot:
            desk = Desk(app, pilot)
            if last:
                await desk.open_last()
            yield desk

    return opened
