"""Run jobs in the live batch of an engine in this process."""

import contextlib
from collections.abc import Callable

from gptterm.cli.batch.run import BatchRun, Work
from gptterm.cli.streams import debugging
from gptterm.engine.api import Failed
from gptterm.engine.batching import BatchingEngine
from gptterm.errors import pass_exits
from gptterm.format import first_line

ROWS = 64
"""Sequences decoded together: on two cores 64 rows of GPT-2 124M take twice the tokens of 8."""
_POLL_S = 0.1
"""Interval at which `interrupted` is polled while no line is there."""


def run_local(
    engine: BatchingEngine, run: BatchRun, rows: int, interrupted: Callable[[], bool]
) -> None:
    """Run all jobs, up to `rows` at once; return early when interrupted.

    A line joins the batch as soon as a row is free, and each has its own settings and seed.
    """
    batch = engine.new_batch(rows, _failure, steady=False)
    running: dict[int, Work] = {}
    with contextlib.closing(batch):
        while not interrupted():
            while batch.has_room:
                work = run.take(0.0 if running else _POLL_S)
                if work is None:
                    break
                running[batch.submit(work.job.request)] = work
            if not running:
                if run.exhausted:
                    return
                continue
            for number, event in batch.step():
                results = running[number].results
                results.add(event)
                if results.ended:
                    run.finish(running.pop(number))


def _failure(error: BaseException) -> Failed:
    """Convert an unexpected exception to the failure of its line."""
    pass_exits(error)
    if debugging():
        raise error
    what = f"{type(error).__name__}: {first_line(error)}"
    return Failed(kind="internal", message=f"internal error, {what} (GPTTERM_DEBUG=1 shows where)")
