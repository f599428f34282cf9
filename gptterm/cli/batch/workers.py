"""Run jobs on engines elsewhere: a fixed number of workers over a bounded queue."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from gptterm.cli.batch.run import BatchRun, Work
from gptterm.engine.api import Event, GenerateRequest

Answer = Callable[[GenerateRequest, Callable[[Event], None]], Awaitable[None]]
"""Runs a request on an engine, and passes its events on."""
_POLL_S = 0.05
"""Interval at which `interrupted` is polled."""


async def run_workers(
    engines: Sequence[Answer], run: BatchRun, interrupted: Callable[[], bool]
) -> None:
    """Run all jobs, one at a time on each of `engines`; return early when interrupted.

    Not a task a line: a file of a million lines has as many tasks as one of a hundred.
    """
    queue: asyncio.Queue[Work | None] = asyncio.Queue(len(engines))
    room = asyncio.Event()
    await _until_interrupted(
        [
            _feed(run, queue, room, len(engines)),
            *(_work(answer, run, queue, room) for answer in engines),
        ],
        interrupted,
    )


async def _feed(
    run: BatchRun, queue: "asyncio.Queue[Work | None]", room: asyncio.Event, workers: int
) -> None:
    while not run.exhausted:
        while not run.has_room:
            room.clear()
            # Nothing tells when records have been written.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(room.wait(), _POLL_S)
        work = run.take()
        if work is not None:
            await queue.put(work)
        else:
            await _readable(run.reader.descriptor)
    for _ in range(workers):
        await queue.put(None)


async def _readable(descriptor: int) -> None:
    """Wait until a read returns at once, as it does from a file."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except (OSError, NotImplementedError):
        await asyncio.sleep(0)
        return
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


async def _work(
    answer: Answer, run: BatchRun, queue: "asyncio.Queue[Work | None]", room: asyncio.Event
) -> None:
    while (work := await queue.get()) is not None:
        await answer(work.job.request, work.results.add)
        run.finish(work)
        room.set()


async def _until_interrupted(
    work: Sequence[Coroutine[Any, Any, None]], interrupted: Callable[[], bool]
) -> None:
    """Run coroutines side by side; one that raises, or an interruption, cancels the others."""
    tasks = {asyncio.create_task(each) for each in work}
    left = tasks
    try:
        while left and not interrupted():
            done, left = await asyncio.wait(
                left, timeout=_POLL_S, return_when=asyncio.FIRST_EXCEPTION
            )
            for task in done:
                task.result()  # raises what it raised
    finally:
        for task in left:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
