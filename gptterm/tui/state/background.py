"""Tasks in the background, whose end nobody waits for."""

import asyncio
from collections.abc import Coroutine

_TASKS: set[asyncio.Task[None]] = set()
"""Strong references: the event loop itself holds its tasks only weakly."""


def spawn(work: Coroutine[None, None, None]) -> None:
    """Run work as a task of the running event loop."""
    task = asyncio.create_task(work)
    _TASKS.add(task)
    task.add_done_callback(_TASKS.discard)
