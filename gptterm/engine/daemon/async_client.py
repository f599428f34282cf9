"""Asyncio client of a warm engine; starts a process of its own where there is none."""

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from gptterm.engine.api import LoadRequest, ModelInfo
from gptterm.engine.daemon import registry
from gptterm.engine.daemon.fingerprint import as_requested
from gptterm.engine.daemon.launcher import DaemonConnection, attach
from gptterm.engine.ipc import LOCAL_ENGINE
from gptterm.engine.ipc.client import EngineClient, ProgressCallback
from gptterm.engine.ipc.connection import Connection
from gptterm.engine.ipc.exits import ExitWitness
from gptterm.errors import FailureKind, GpttermError
from gptterm.threads import in_daemon_thread


class DaemonClient(EngineClient):
    """An `EngineClient` that uses the model's warm engine if one runs, or is to be kept.

    Closing it, or killing an engine that does not obey, only disconnects: a daemon has other
    clients.

    Args:
        keep_alive_s: how long the daemon stays without a client; None: none is started.
        on_wait, factory, log, deadlines: see `EngineClient`.
    """

    def __init__(
        self,
        keep_alive_s: float | None,
        factory: str = LOCAL_ENGINE,
        *,
        on_wait: Callable[[int], None] | None = None,
        log: Path | None = None,
        **deadlines: float,
    ) -> None:
        super().__init__(factory, log=log, **deadlines)
        self._keep_alive_s = keep_alive_s
        self.on_wait = on_wait
        self._daemon: DaemonConnection | None = None
        """The daemon in use; None: the process is our own."""
        self._daemon_error = ""
        """Why no daemon is used, though one is to be kept."""

    async def start(self) -> None:
        """Start a process of our own, unless a daemon may be used."""
        if not self._may_use_daemon():
            await super().start()

    async def load(
        self, request: LoadRequest, on_progress: ProgressCallback | None = None
    ) -> ModelInfo:
        """See `EngineClient.load`."""
        since = time.perf_counter()
        info = await super().load(request, on_progress)
        if self._daemon is not None:
            info = as_requested(info, request, self._daemon.pid, time.perf_counter() - since)
        elif self._daemon_error:
            info = msgspec.structs.replace(info, notices=(*info.notices, self._daemon_error))
        self._info = info
        return info

    def _may_use_daemon(self) -> bool:
        if self._keep_alive_s is not None:
            return True
        with contextlib.suppress(GpttermError, OSError):
            directory = registry.socket_directory(make=False)
            return directory is not None and bool(registry.names(directory))
        return False

    async def _connect(self, request: LoadRequest, report: ProgressCallback) -> None:
        daemon = await self._attach(request)
        if daemon is not None or self._daemon is not None:
            await self.close()
        self._daemon = daemon
        if daemon is None:
            await super()._connect(request, report)
            return
        process = DaemonProcess(daemon, self.log)
        self._connection = await Connection.open(process, daemon.socket, self.log, self._wait)

    def _wait(self, ahead: int) -> None:
        if self.on_wait is not None:
            self.on_wait(ahead)

    async def _attach(self, request: LoadRequest) -> DaemonConnection | None:
        self._daemon_error = ""
        if not self._may_use_daemon():
            return None
        try:
            return await in_daemon_thread(
                lambda: attach(request, self._keep_alive_s, factory=self._factory)
            )
        except (GpttermError, OSError) as error:
            if self._keep_alive_s is not None:
                self._daemon_error = f"no warm engine: {error}"
            return None


class DaemonProcess:
    """A daemon's process, which this client only disconnects from."""

    stopped = "disconnected from the warm engine"

    def __init__(self, daemon: DaemonConnection, log: Path) -> None:
        self.pid = daemon.pid
        self._connection = daemon.socket
        self._witness = ExitWitness(log)
        self._gone = asyncio.Event()

    @property
    def running(self) -> bool:
        """Whether the connection is open."""
        return not self._gone.is_set()

    async def wait(self) -> int:
        """Wait for the end of the connection."""
        await self._gone.wait()
        return 0

    def connection_lost(self) -> None:
        """Let `wait` return."""
        self._gone.set()

    def kill(self) -> None:
        """Disconnect; a daemon that hangs notices that itself, and exits."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def describe_exit(self, code: int, activity: str) -> tuple[FailureKind, str]:
        """Describe the lost connection in one line."""
        del code
        return self._witness.describe_daemon(self.pid, activity)
