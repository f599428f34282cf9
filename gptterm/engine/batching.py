"""Contract of engines that run several requests side by side: `BatchingEngine`, `LiveBatch`."""

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

from gptterm.engine.api import (
    Engine,
    Event,
    Failed,
    GenerateRequest,
    NextToken,
    SamplingParams,
)


class LiveBatch(Protocol):
    """Requests that are decoded side by side, and come and go between steps.

    All methods but `set_sampling` are called from one thread.
    """

    @property
    def idle(self) -> bool:
        """Whether no request is left."""
        ...

    @property
    def ready(self) -> bool:
        """Whether `step` has anything to do: not if all requests are paused."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether a request submitted now would begin before another one ends."""
        ...

    def submit(self, request: GenerateRequest) -> int:
        """Add a request; return the number under which `step` yields its events."""
        ...

    def step(self) -> Iterator[tuple[int, Event]]:
        """Prefill up to a chunk and sample up to one token per sample, for all requests.

        The iterator must be consumed to its end.
        """
        ...

    def cancel(self, number: int) -> None:
        """Drop a request between two steps. It yields no further event."""
        ...

    def pause(self, number: int) -> bool:
        """Suspend a request until `resume`. False: others may have to wait for it."""
        ...

    def resume(self, number: int) -> None:
        """Resume a paused request."""
        ...

    def set_sampling(self, number: int, sampling: SamplingParams) -> None:
        """Change the samplers of a request from its next token on. Thread-safe."""
        ...

    def next_token(
        self, number: int, sampling: SamplingParams, limit: int = 20
    ) -> NextToken | None:
        """Return the distribution after the first sample's text so far, between two steps.

        None before the first token, and once other requests occupy the cache of its text.
        """
        ...

    def close(self) -> None:
        """Drop all requests."""
        ...


@runtime_checkable
class BatchingEngine(Engine, Protocol):
    """An engine that runs several generations at once."""

    def new_batch(
        self, rows: int, on_error: Callable[[BaseException], Failed], *, steady: bool = True
    ) -> LiveBatch:
        """Return a batch of up to `rows` sequences, or of fewer if memory is short.

        Args:
            on_error: turns an unexpected exception into the failure of its request.
            steady: a new prompt must not hold up the tokens of others; False: nobody reads along,
                and most tokens a second count.
        """
        ...
