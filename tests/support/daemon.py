"""Warm engines for tests, apart from those of the user."""

import contextlib
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gptterm.engine.api import Event, Finished, GenerateRequest, LoadRequest
from gptterm.engine.daemon import registry
from gptterm.engine.daemon.launcher import list_daemons
from gptterm.engine.daemon.sync_client import DaemonEngine, open_engine
from tests.support.scripted import FACTORY, Script
from tests.support.waiting import gone, wait_until

FOREVER = float("inf")
ENDLESS = Script.saying([" again"], endless=True, rate=200)


@contextmanager
def private_runtime_directory(monkeypatch: pytest.MonkeyPatch, home: Path) -> Iterator[Path]:
    """A runtime folder for the engines of one test; those left in it are killed.

    It is directly in the temporary directory, since a socket's path is limited to 100 bytes.
    """
    runtime = Path(tempfile.mkdtemp(prefix="warm-"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("GPTTERM_HOME", str(home))
    try:
        yield registry.socket_directory()
    finally:
        pids = [one.status.pid for one in list_daemons() if one.status is not None]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in pids:
            wait_until(lambda pid=pid: gone(pid))  # type: ignore[misc]
        shutil.rmtree(runtime)


def the_pid() -> int:
    """The process id of the only engine that runs."""
    (found,) = list_daemons()
    assert found.status is not None
    return found.status.pid


def opened(
    asked: LoadRequest,
    keep_alive_s: float | None = FOREVER,
    *,
    factory: str = FACTORY,
    on_wait: Callable[[int], None] | None = None,
    interrupted: Callable[[], bool] | None = None,
) -> DaemonEngine:
    """Open an engine that runs or can be started."""
    engine = open_engine(
        asked, keep_alive_s, factory=factory, on_wait=on_wait, interrupted=interrupted
    )
    assert engine is not None
    return engine


class Client:
    """A client in a thread of its own, whose generation can be watched and cancelled."""

    def __init__(self, asked: LoadRequest, **options: object) -> None:
        self.told: list[int] = []
        """Numbers of prompts ahead, as reported to it."""
        self.events: list[Event] = []
        self._stopped = False
        self.engine = opened(
            asked,
            on_wait=self.told.append,
            interrupted=lambda: self._stopped,
            **options,  # type: ignore[arg-type]
        )
        self._thread: threading.Thread | None = None

    def begin(self, request: GenerateRequest) -> None:
        """Start the generation."""
        self._thread = threading.Thread(target=self._run, args=(request,), daemon=True)
        self._thread.start()

    def _run(self, request: GenerateRequest) -> None:
        with contextlib.closing(self.engine.generate(request)) as events:
            for event in events:
                self.events.append(event)
                if self._stopped and not isinstance(event, Finished):
                    return

    def stop(self) -> None:
        """Cancel, as Ctrl-C does."""
        self._stopped = True

    def ended(self) -> list[Event]:
        """Wait for the end and return all events."""
        assert self._thread is not None
        self._thread.join(30)
        assert not self._thread.is_alive()
        return self.events

    def is_at(self, kind: type[Event]) -> bool:
        """Whether an event of this kind has arrived."""
        return any(isinstance(event, kind) for event in self.events)
