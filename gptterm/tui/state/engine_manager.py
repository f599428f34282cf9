"""The engine as the TUI keeps it: found, loaded, and started again when it died."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Literal

from gptterm.config import Settings
from gptterm.engine.api import ModelInfo, ModelSource
from gptterm.engine.ipc.client import EngineClient
from gptterm.engine.ipc.protocol import LoadProgress
from gptterm.errors import GpttermError
from gptterm.threads import in_daemon_thread

Phase = Literal["idle", "finding", "loading", "ready", "failed"]
Finder = Callable[[Settings, Callable[[str], None]], Awaitable[ModelSource]]
"""Finds the model that settings name; reports what it is doing in a few words."""

STAGES = {
    "starting": "starting the engine",
    "importing": "starting the engine",
    "loading": "loading",
}


def new_client(settings: Settings) -> EngineClient:
    """What loads models: into the warm engine of a model where there is one, else its own."""
    if os.name != "posix":
        return EngineClient()
    from gptterm.engine.daemon.async_client import DaemonClient

    return DaemonClient(settings.keep_alive_s)


async def find_model(settings: Settings, report: Callable[[str], None]) -> ModelSource:
    """Look for the model in another thread, since that may download it.

    Raises:
        ModelError: it cannot be had.
    """
    report("looking for the model")
    loop = asyncio.get_running_loop()

    def progress(done: int, total: int) -> None:
        text = f"downloading {done / 1e6:,.0f} of {total / 1e6:,.0f} MB"
        loop.call_soon_threadsafe(report, text)

    def find() -> ModelSource:
        from gptterm.models import resolve

        return resolve(
            settings.model,
            offline=settings.offline,
            fallback=settings.model_is_default,
            on_progress=progress,
        )

    return await in_daemon_thread(find)


class EngineManager:
    """Loads models into an engine's process and knows what state it is in.

    Args:
        client: The process.
        find: How models are found.
        changed: Called when `phase`, `activity` or `info` is another.
    """

    def __init__(self, client: EngineClient, find: Finder, changed: Callable[[], None]) -> None:
        self.client = client
        self.phase: Phase = "idle"
        self.activity = ""
        """What it is busy with, in a few words; empty when it is not."""
        self.error = ""
        """Why there is no model, when `phase` is `failed`."""
        self.source: ModelSource | None = None
        self.info: ModelInfo | None = None
        self._find = find
        self._changed = changed

    @property
    def ready(self) -> bool:
        """Whether a generation can be asked for."""
        return self.phase == "ready" and self.client.alive

    def leave(self) -> None:
        """Another model is going to be loaded: what waits is for that one, not begun before."""
        self._enter("finding", "looking for the model")

    async def load(self, settings: Settings) -> bool:
        """Find and load the model that the settings name.

        Returns:
            False when that failed: `error` says why. A model that was there before is kept.
        """
        self.leave()
        try:
            # The process imports torch while the model is still looked for.
            starting = asyncio.create_task(self.client.start())
            try:
                source = await self._find(settings, lambda text: self._enter("finding", text))
            finally:
                await starting
            return await self._load(settings, source)
        except GpttermError as error:
            await self._keep(settings)
            self.error = str(error)
            return False

    async def _keep(self, settings: Settings) -> None:
        """Go on with the model there was before, loading it again if it had to go."""
        if self.source is None:
            self._fail("")
        elif self.client.alive and self.client.info is not None:
            self._enter("ready", "")
        else:
            await self.reload(settings)

    async def reload(self, settings: Settings) -> bool:
        """Load the same model again, after the process died."""
        if self.source is None:
            return await self.load(settings)
        try:
            return await self._load(settings, self.source)
        except GpttermError as error:
            return self._fail(str(error))

    async def _load(self, settings: Settings, source: ModelSource) -> bool:
        self._enter("loading", "loading")
        self.info = await self.client.load(settings.load_request(source), self._progress)
        self.source = source
        self.error = ""
        self._enter("ready", "")
        return True

    def _progress(self, progress: LoadProgress) -> None:
        self._enter("loading", STAGES[progress.stage])

    def _fail(self, error: str) -> bool:
        self.error = error
        self._enter("failed", "")
        return False

    def _enter(self, phase: Phase, activity: str) -> None:
        self.phase = phase
        self.activity = activity
        self._changed()
