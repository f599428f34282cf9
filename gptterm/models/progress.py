"""Progress of a download: numbers for a front end, or a bar on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

OnProgress = Callable[[int, int], None]
"""Called with the bytes downloaded and the bytes in all, possibly from other threads."""


class DownloadProgress:
    """Adds up the downloaded bytes of several files. Thread-safe."""

    def __init__(self, total: int, report: OnProgress) -> None:
        self.total = total
        self.done = 0
        self._report = report
        self._lock = Lock()
        report(0, total)

    def add(self, count: int) -> None:
        """Add bytes; a negative number when a file starts again."""
        with self._lock:
            self.done = min(self.total, max(0, self.done + count))
            self._report(self.done, self.total)


@contextmanager
def progress_bar(title: str) -> Iterator[OnProgress]:
    """Draw a bar on stderr during the block; nothing if stderr is not a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
