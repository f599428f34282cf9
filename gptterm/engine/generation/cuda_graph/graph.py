"""Capture of a decoding step, and the check of what was captured against the step itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from gptterm.engine.sampling.device_chain import DenseTokenCounts

CHECKED_REPLAYS = 2
"""At two positions: a graph in which one was baked as a constant is right at the first."""
_BOUND = 32
"""Machine epsilons of the compute dtype, in standard deviations of the compared numbers: 0.25 in
bfloat16. Another token or position moves some logit by several standard deviations."""
_LEAST_BOUND = 1e-3


class Graph(Protocol):
    """A captured step."""

    def replay(self) -> None:
        """Run it again, over the memory that it was captured with."""
        ...


Capture = Callable[[Callable[[], None]], Graph]
"""Records the operations of a function without running them; RuntimeError if it cannot."""


class CudaCapture:
    """Capture by CUDA graphs.

    All share one memory pool: they run one after the other, and what outlives a step lies outside.
    """

    def __init__(self) -> None:
        self._pool: Any = None

    def __call__(self, step: Callable[[], None]) -> Graph:
        graph = torch.cuda.CUDAGraph()
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        # Other threads may use the GPU meanwhile.
        with torch.cuda.graph(graph, self._pool, capture_error_mode="thread_local"):
            step()
        return graph


@dataclass
class CheckedGraph:
    """A graph, and the replays that are still to be compared with the step itself."""

    graph: Graph
    checks_left: int = CHECKED_REPLAYS


class StepState(NamedTuple):
    """All tensors that a step changes: its buffers, and the KV cache up to its position."""

    ids: Tensor
    logits: Tensor
    seen: Tensor
    counts: Tensor
    next_uniform: Tensor
    position: Tensor
    keys: Tensor
    """(layers, rows, heads, columns, head_dim), as are the values; the last column is written."""
    values: Tensor

    def clone(self) -> "StepState":
        return StepState(*(tensor.clone() for tensor in self))

    def restore(self, saved: "StepState") -> None:
        """Write back what `clone` saved."""
        for tensor, old in zip(self, saved, strict=True):
            tensor.copy_(old)


def agrees(
    before: StepState,
    eager: StepState,
    replayed: StepState,
    draw: Callable[[Tensor, DenseTokenCounts], Tensor],
) -> bool:
    """Whether a replay did what the step did from the same state.

    Logits, keys and values may differ by rounding, since libraries choose other algorithms under
    capture; so may ids, which are compared with those drawn from the replay's own logits.

    Args:
        draw: the ids for logits and token counts.
    """
    drawn = draw(replayed.logits, DenseTokenCounts(before.seen, before.counts))
    columns = drawn.clamp(min=0).unsqueeze(1)
    ones = torch.ones_like(columns, dtype=before.counts.dtype)
    exact = [
        (replayed.ids, drawn),
        (replayed.seen, before.seen.scatter(1, columns, value=True)),
        (replayed.counts, before.counts.scatter_add(1, columns, ones)),
        (replayed.next_uniform, eager.next_uniform),
        (replayed.position, eager.position),
    ]
    close = [(replayed.logits, eager.logits)]
    for found, expected in ((replayed.keys, eager.keys), (replayed.values, eager.values)):
        exact.append((found[..., :-1, :], expected[..., :-1, :]))
        close.append((found[..., -1, :].flatten(1), expected[..., -1, :].flatten(1)))
    bound = max(_LEAST_BOUND, _BOUND * torch.finfo(eager.keys.dtype).eps)
    return all(torch.equal(*pair) for pair in exact) and all(
        _is_close(*pair, bound) for pair in close
    )


def _is_close(found: Tensor, expected: Tensor, bound: float) -> bool:
    """Compare each row; False where a number is not finite."""
    found, expected = found.float(), expected.float()
    error = (found - expected).abs().amax(1)
    return bool((error <= bound * expected.std(1)).all())
