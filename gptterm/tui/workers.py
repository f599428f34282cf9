"""Workers: coroutine functions that run beside the messages of a widget."""

from collections.abc import Callable, Coroutine
from typing import Any

from textual.dom import DOMNode
from textual.worker import Worker


def start_worker(
    owner: DOMNode,
    work: Callable[[], Coroutine[Any, Any, None]],
    *,
    group: str = "default",
    exclusive: bool = False,
    exit_on_error: bool = True,
) -> Worker[None]:
    """Start a worker that ends with its owner.

    It is given the function, not its coroutine: a worker that is cancelled before it begins would
    leave one that was never awaited.
    """
    worker: Worker[None] = owner.run_worker(
        work, group=group, exclusive=exclusive, exit_on_error=exit_on_error
    )
    return worker
