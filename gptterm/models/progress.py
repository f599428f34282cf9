"""The progress of a download: numbers for a front end, or a bar on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

OnProgress = Callable[[int, int], None]
"""Called with the bytes that are here and the bytes of the whole. Possibly from other threads."""


class Tally:
    """Adds up the bytes of several files."""

    def __init__(self, total: int, report: OnProgress) -> None:
        self.total = total
        self.done = 0
        self._report = report
        self._lock = Lock()
        report(0, total)

    def add(self, count: int) -> None:
        """Count bytes; fewer than none when a file starts anew."""
        with self._lock:
            self.done = min(self.total, max(0, self.done + count))
            self._report(self.done, self.total)


@contextmanager
def bar(title: str) -> Iterator[OnProgress]:
    """A bar on stderr while the block runs; nothing at all when stderr is no terminal."""
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
