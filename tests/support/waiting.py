"""Waits for conditions, never for times."""

import asyncio
import time
from collections.abc import Callable

import psutil

DEADLINE_S = 30.0
"""Time-out for a loaded machine; a test that reaches it fails."""


async def until(condition: Callable[[], object], what: str = "the condition") -> None:
    """Return once `condition()` is true.

    Raises:
        AssertionError: it did not come true in time.
    """
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {DEADLINE_S:g} s for {what}"
        await asyncio.sleep(0.002)


def wait_until(condition: Callable[[], object], what: str = "the condition") -> None:
    """`until` for synchronous tests."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {DEADLINE_S:g} s for {what}"
        time.sleep(0.002)


def gone(pid: int) -> bool:
    """Whether the process has ended; a zombie has."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
