"""Lifecycle of the engine process: find a model, load it, restart after a crash."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

from gptterm.config import Settings
from gptterm.engine.api import ModelInfo, ModelSource
from gptterm.engine.ipc.client import EngineClient
from gptterm.engine.ipc.protocol import LoadProgress
from gptterm.engine.remote.servers import host
from gptterm.errors import GpttermError
from gptterm.format import byte_size
from gptterm.threads import in_daemon_thread

Phase = Literal["idle", "finding", "loading", "ready", "failed"]
if TYPE_CHECKING:
    # Local models need no server's client.
    from gptterm.engine.remote.client import RemoteClient

    Client = EngineClient | RemoteClient
Finder = Callable[[Settings, Callable[[str], None]], Awaitable[ModelSource]]
"""Finds the model that the settings name; its callback gets the current activity."""

STAGES = {
    "starting": "starting the engine",
    "importing": "starting the engine",
    "loading": "loading",
}
COUNT_TIMEOUT_S = 3.0
"""Longest wait for a count of tokens."""


def new_client(settings: Settings) -> EngineClient:
    """Return a client that attaches to a model's warm engine, or starts its own process."""
    if os.name != "posix":
        return EngineClient()
    from gptterm.engine.daemon.async_client import DaemonClient

    return DaemonClient(settings.keep_alive_s)


async def find_model(settings: Settings, report: Callable[[str], None]) -> ModelSource:
    """Ask its server for the model, or find it in another thread: it may have to be downloaded.

    Raises:
        ModelError: There is no such model, or it cannot be downloaded.
        UsageError: Its name has an address that is not valid.
    """
    remote = settings.remote
    if remote is not None:
        from gptterm.engine.remote import discovery

        report(f"asking {host(remote)}")
        access = settings.servers.access(remote)
        return await discovery.find(remote, access, offline=settings.offline)
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
    """Loads models into the engine process, or connects to servers, and tracks the phase.

    Args:
        client: Client of the process, for local models.
        find: Finds models.
        on_change: Called when `phase`, `activity` or `info` changes.
    """

    def __init__(self, client: EngineClient, find: Finder, on_change: Callable[[], None]) -> None:
        self._local = client
        self._remote: RemoteClient | None = None
        """Client of the server whose model is in use; None while that is a local one."""
        self.phase: Phase = "idle"
        self.activity = ""
        """Current activity in a few words; empty when idle."""
        self.error = ""
        """Why there is no model, if `phase` is `failed`."""
        self.source: ModelSource | None = None
        self.info: ModelInfo | None = None
        self.is_bundled = False
        """Whether the model is the one inside the package."""
        self._find = find
        self._on_change = on_change

    @property
    def client(self) -> "Client":
        """Client of the model that is in use."""
        return self._local if self._remote is None else self._remote

    @property
    def is_remote(self) -> bool:
        """Whether the model is on a server, which takes the samplers with the request."""
        return self._remote is not None

    @property
    def no_distribution(self) -> str:
        """Why the model shows no next-token distribution; empty as long as it may."""
        return "" if self._remote is None else self._remote.no_distribution

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
            if settings.remote is not None:
                return await self._load(settings, await self._find_source(settings))
            # The process imports its code while the model is looked up.
            starting = asyncio.create_task(self._local.start())
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
        if self._remote is not None:
            await self._local.close()
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
        request, before = settings.load_request(source), self._remote
        if source.remote is None:
            self.info = await self._local.load(request, self._progress)
            self._remote = None
        else:
            from gptterm.engine.remote.client import RemoteClient

            remote = RemoteClient(settings.servers)
            self.info = await remote.load(request)
            self._remote = remote
            await self._local.close()  # its memory is of no use now
        if before is not None:
            await before.close()
        from gptterm.models import BUNDLED

        self.source, self.is_bundled = source, source.name == BUNDLED
        self.error = ""
        self._set_phase("ready", "")
        return True

    async def count_tokens(self, text: str) -> int | None:
        """Count a text's tokens; None where the model cannot be asked."""
        if self.ready and self._remote is None:
            with contextlib.suppress(GpttermError, TimeoutError):
                return len(await asyncio.wait_for(self._local.tokenize(text), COUNT_TIMEOUT_S))
        return None

    def leave_core(self, seconds: float) -> None:
        """Have the engine leave a core to this process, which has something to draw; 0 ends it.

        On two cores, a frame of 12 ms takes 25 beside two threads that compute.
        """
        if self._remote is None:
            self._local.leave_core(seconds)

    async def close(self) -> None:
        """End the process, and close all connections."""
        remote = self._remote
        await self._local.close()
        if remote is not None:
            await remote.close()

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
