"""Lifecycle of the engine process: find a model, load it, restart after a crash."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Literal

from gptterm.config import Settings
from gptterm.engine.api import ModelInfo, ModelSource
from gptterm.engine.ipc.client import EngineClient
from gptterm.engine.ipc.protocol import LoadProgress
from gptterm.errors import GpttermError
from gptterm.format import byte_size
from gptterm.threads import in_daemon_thread

Phase = Literal["idle", "finding", "loading", "ready", "failed"]
Finder = Callable[[Settings, Callable[[str], None]], Awaitable[ModelSource]]
"""Finds the model that the settings name; its callback gets the current activity."""

STAGES = {
    "starting": "starting the engine",
    "importing": "starting the engine",
    "loading": "loading",
}


def new_client(settings: Settings) -> EngineClient:
    """Return a client that attaches to a model's warm engine, or starts its own process."""
    if os.name != "posix":
        return EngineClient()
    from gptterm.engine.daemon.async_client import DaemonClient

    return DaemonClient(settings.keep_alive_s)


async def find_model(settings: Settings, report: Callable[[str], None]) -> ModelSource:
    """Find the model in another thread, since it may have to be downloaded.

    Raises:
        ModelError: There is no such model, or it cannot be downloaded.
    """
    report("looking for the model")
    loop = asyncio.get_running_loop()

    def progress(done: int, total: int) -> None:
        text = f"downloading {byte_size(done)} of {byte_size(total)}"
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
    """Loads models into the engine process and tracks its phase.

    Args:
        client: Client of the process.
        find: Finds models.
        on_change: Called when `phase`, `activity` or `info` changes.
    """

    def __init__(self, client: EngineClient, find: Finder, on_change: Callable[[], None]) -> None:
        self.client = client
        self.phase: Phase = "idle"
        self.activity = ""
        """Current activity in a few words; empty when idle."""
        self.error = ""
        """Why there is no model, if `phase` is `failed`."""
        self.source: ModelSource | None = None
        self.info: ModelInfo | None = None
        self._find = find
        self._on_change = on_change

    @property
    def ready(self) -> bool:
        """Whether a generation can be requested."""
        return self.phase == "ready" and self.client.alive

    def announce_load(self) -> None:
        """Leave the phase `ready` before a load, so that queued replies wait for the new model."""
        self._set_phase("finding", "looking for the model")

    async def load(self, settings: Settings) -> bool:
        """Find and load the model that the settings name.

        Returns:
            Whether that succeeded. If not, `error` says why, and the model before stays loaded.
        """
        self.announce_load()
        try:
            # The process imports its code while the model is looked up.
            starting = asyncio.create_task(self.client.start())
            try:
                source = await self._find_source(settings)
            finally:
                await starting
            return await self._load(settings, source)
        except GpttermError as error:
            await self._restore(settings)
            self.error = str(error)
            return False

    async def _find_source(self, settings: Settings) -> ModelSource:
        """Find the model, and report the progress until then.

        The thread of a search that was cancelled goes on, and so do its reports.
        """
        is_over = False

        def report(text: str) -> None:
            if not is_over:
                self._set_phase("finding", text)

        try:
            return await self._find(settings, report)
        finally:
            is_over = True

    async def _restore(self, settings: Settings) -> None:
        """Return to the model from before, loading it again if it was unloaded."""
        if self.source is None:
            self._fail("")
        elif self.client.alive and self.client.info is not None:
            self._set_phase("ready", "")
        else:
            await self.reload(settings)

    async def reload(self, settings: Settings) -> bool:
        """Load the same model again after the process died."""
        if self.source is None:
            return await self.load(settings)
        try:
            return await self._load(settings, self.source)
        except GpttermError as error:
            return self._fail(str(error))

    async def _load(self, settings: Settings, source: ModelSource) -> bool:
        self._set_phase("loading", "loading")
        self.info = await self.client.load(settings.load_request(source), self._progress)
        self.source = source
        self.error = ""
        self._set_phase("ready", "")
        return True

    def _progress(self, progress: LoadProgress) -> None:
        self._set_phase("loading", STAGES[progress.stage])

    def _fail(self, error: str) -> bool:
        self.error = error
        self._set_phase("failed", "")
        return False

    def _set_phase(self, phase: Phase, activity: str) -> None:
        self.phase = phase
        self.activity = activity
        self._on_change()
