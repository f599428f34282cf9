"""Loads of models: chosen, downloaded first, or repeated after the engine has died."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

from gptterm.tui.state.background import spawn
from gptterm.tui.state.controller_view import ControllerView
from gptterm.tui.state.events import ControllerEvent, EngineChanged, Notified
from gptterm.tui.state.settings_overrides import SettingsOverrides


class ModelLoader:
    """Loads one model at a time; the last one asked for stays.

    Args:
        controller: Owner of the engine, the downloads and the chats.
        overrides: Its settings: a load changes the model, its defaults and the biases.
        emit: Called with every event.
        make_way: Ends the running generation.
        on_end: Called at the end of each load, with whether it succeeded; queued replies go on.
    """

    def __init__(
        self,
        controller: ControllerView,
        overrides: SettingsOverrides,
        emit: Callable[[ControllerEvent], None],
        *,
        make_way: Callable[[], Awaitable[None]],
        on_end: Callable[[bool], None],
    ) -> None:
        self.task: asyncio.Task[None] | None = None
        """The running load, else the last one."""
        self._controller = controller
        self._engine = controller.engine
        self._overrides = overrides
        self._emit = emit
        self._make_way = make_way
        self._on_end = on_end
        self._lock = asyncio.Lock()
        """Held by a load until its end: one that is cancelled still has to kill its process, which
        must not be its successor's."""

    def load(self, model: str | None = None) -> None:
        """Load a model, by default that of the settings.

        A running generation is stopped, and a load that is under way is cancelled.
        """
        if model is not None:
            self._overrides.change_model(model)
        self._engine.announce_load()
        self._begin(self._load(chosen=model is not None))

    def _begin(self, load: Coroutine[None, None, None]) -> None:
        if self.task is not None:
            self.task.cancel()
        self.task = asyncio.create_task(load)

    async def _load(self, *, chosen: bool) -> None:
        engine = self._engine
        async with self._lock:
            await self._make_way()
            before = engine.info
            loaded = await engine.load(self._overrides.settings)
        if not loaded:
            self._overrides.undo_change_model()
            self._emit(Notified("error", engine.error))
            self._on_end(False)
            if chosen and before is None:
                # The one that it took the place of was not loaded yet.
                asyncio.get_running_loop().call_soon(self.load)
            return
        self._overrides.keep_model()
        source, info = engine.source, engine.info
        if before is None or info is None or before.name != info.name:
            self._overrides.clear_biases()
        assert source is not None
        assert info is not None
        for notice in (*source.notices, *info.notices):
            self._emit(Notified("warning", notice))
        from gptterm.models import generation_defaults

        self._overrides.set_model_defaults(generation_defaults(source))
        self._emit(EngineChanged())
        if not chosen:
            self._controller.check_model()
        self._on_end(True)
        if engine.is_bundled:
            offline = self._overrides.settings.offline
            await self._controller.downloads.find_offers(offline=offline)

    def fetch(self, name: str, *, chosen: bool = False) -> None:
        """Download a model beside the loaded one.

        It is loaded then if it was chosen for this chat, or if that is still empty.
        """
        spawn(self._fetch(name, chosen))

    async def _fetch(self, name: str, chosen: bool) -> None:
        controller = self._controller
        if not await controller.downloads.fetch(name):
            return
        if (chosen or controller.chat.empty) and controller.replying is None:
            self.load(name)
        else:
            text = f"{name} is on this machine now: /model {name} loads it"
            self._emit(Notified("good", text))

    def restart_if_dead(self) -> None:
        """Start the engine again after it has died, unless a model is being loaded anyway."""
        if self._engine.phase == "ready" and not self._engine.client.alive:
            self._begin(self._restart())

    async def _restart(self) -> None:
        async with self._lock:
            restarted = await self._engine.reload(self._overrides.settings)
        if restarted:
            self._emit(Notified("info", "the engine was restarted"))
        else:
            self._emit(Notified("error", self._engine.error))
        self._on_end(restarted)
