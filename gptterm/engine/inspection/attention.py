"""Attention weights of a text: one row, a map of one head, statistics of all heads."""

from collections.abc import Callable, Generator, Iterator
from functools import partial

import numpy as np

from gptterm.engine.decoders.attention_step import Point
from gptterm.engine.decoders.base import Ids
from gptterm.engine.decoders.tap import AttentionWeights, Floats, Observable
from gptterm.engine.inspection.answers import (
    HEAD_STATISTICS,
    AttentionMap,
    AttentionView,
    HeadGrid,
    Numbers,
    Progress,
)
from gptterm.engine.inspection.requests import (
    AttentionMapRequest,
    AttentionRequest,
    HeadGridRequest,
)
from gptterm.engine.inspection.text_cache import TextCaches, as_ids
from gptterm.engine.inspection.windows import view_start
from gptterm.errors import UsageError

_WEIGHTS_BYTES = 1 << 26
"""Of all layers' weights in one pass: some decoders form them together."""
_TINY = np.float32(1e-30)


class AttentionViews:
    """Answers requests for attention weights, by passes over tokens whose past is cached."""

    def __init__(self, decoder: Observable, caches: TextCaches) -> None:
        self._decoder = decoder
        self._caches = caches

    def row(self, request: AttentionRequest) -> Generator[Progress, None, AttentionView]:
        """Attention of one token."""
        position = request.position
        start = view_start(position + 1, self._decoder.context_length)
        ids = as_ids(request.ids[start : position + 1])
        layers: dict[int, Floats] = {}
        yield from self._observe(ids, position - start, layers.__setitem__)
        weights = np.stack([layers[layer] for layer in sorted(layers)])
        statistics = [head_statistics(layer, ids)[..., 0] for layer in weights]
        return AttentionView(
            position=position,
            window_start=start,
            weights=Numbers.of(weights[:, :, 0]),
            statistics=Numbers.of(np.stack(statistics, axis=1)),
        )

    def map(self, request: AttentionMapRequest) -> Generator[Progress, None, AttentionMap]:
        """Attention of consecutive tokens in one head.

        Raises:
            UsageError: there is no such head, or the rows are more than the context.
        """
        decoder, first, end = self._decoder, request.first, request.end
        context = decoder.context_length
        _check_index("layer", request.layer, decoder.num_layers)
        _check_index("head", request.head, decoder.num_heads)
        if end - first > context:
            raise UsageError(f"at most {context} positions fit the context, not {end - first}")
        start = min(view_start(end, context), first)
        found = np.zeros((end - first, end - start), np.float32)

        def take(row: int, layer: int, weights: Floats) -> None:
            if layer == request.layer:
                n, positions = weights.shape[1:]
                found[row : row + n, :positions] = weights[request.head]

        for at, to in self._chunks(first, end, end - start):
            ids = as_ids(request.ids[start:to])
            yield from self._observe(ids, at - start, partial(take, at - first), request.layer)
            yield Progress(done=to - first, total=end - first)
        return AttentionMap(
            layer=request.layer,
            head=request.head,
            first=first,
            window_start=start,
            weights=Numbers.of(found),
        )

    def grid(self, request: HeadGridRequest) -> Generator[Progress, None, HeadGrid]:
        """Means of each head's statistics."""
        decoder, first, end = self._decoder, request.first, request.end
        sums = np.zeros((len(HEAD_STATISTICS), decoder.num_layers, decoder.num_heads))

        def take(ids: Ids, layer: int, weights: Floats) -> None:
            sums[:, layer] += head_statistics(weights, ids).sum(-1, dtype=np.float64)

        at = first
        while at < end:
            start = view_start(at + 1, decoder.context_length)
            stop = min(end, start + decoder.context_length)
            _, at_next = next(self._chunks(at, stop, stop - start))
            ids = as_ids(request.ids[start:at_next])
            yield from self._observe(ids, at - start, partial(take, ids))
            yield Progress(done=at_next - first, total=end - first)
            at = at_next
        return HeadGrid(statistics=Numbers.of(sums / (end - first)), rows=end - first)

    def _chunks(self, first: int, end: int, columns: int) -> Iterator[tuple[int, int]]:
        """Positions of passes whose weights are not too large."""
        decoder = self._decoder
        rows = _WEIGHTS_BYTES // (4 * decoder.num_layers * decoder.num_heads * columns)
        rows = min(max(rows, 1), self._caches.chunk())
        for at in range(first, end, rows):
            yield at, min(at + rows, end)

    def _observe(
        self, ids: Ids, start: int, take: Callable[[int, Floats], None], layer: int | None = None
    ) -> Generator[Progress, None, None]:
        """Feed the ids from `start` on; let `take` have the weights of a layer, or of each."""
        tap = _WeightsTap(take, layer)
        with self._caches.lend() as cache:
            yield from cache.run(
                ids, start, len(ids), lambda chunk, kept: self._decoder.observe(chunk, kept, tap)
            )


def _check_index(name: str, index: int, count: int) -> None:
    if not 0 <= index < count:
        raise UsageError(f"{name} must be from 0 to {count - 1}, not {index}")


class _WeightsTap:
    """A tap for the attention weights of one layer, or of all."""

    def __init__(self, take: Callable[[int, Floats], None], layer: int | None) -> None:
        self._take = take
        self._layer = layer

    def residual(self, layer: int, point: Point, x: Floats) -> None:
        """Not asked for."""

    def attention(self, layer: int, weights: AttentionWeights) -> None:
        if self._layer in (None, layer):
            self._take(layer, weights())


def head_statistics(weights: Floats, ids: Ids) -> Floats:
    """Statistics of rows of attention weights.

    Args:
        weights: (heads, n, positions), of the last n tokens.
        ids: (positions,).

    Returns:
        (statistics, heads, n) in the order of `HEAD_STATISTICS`.
    """
    n, count = weights.shape[1:]
    own = np.arange(count - n, count)
    follows = np.zeros((n, count), np.float32)
    follows[:, 1:] = ids[own, None] == ids[None, :-1]
    follows *= np.arange(count) <= own[:, None]
    previous = weights[:, np.arange(n), np.maximum(own - 1, 0)] * (own > 0)
    entropy = 0.0 - (weights * np.log2(np.maximum(weights, _TINY))).sum(-1)  # no minus zero
    return np.stack(
        [
            entropy,
            weights.max(-1),
            weights[..., 0],
            previous,
            np.einsum("hnp,np->hn", weights, follows),
        ]
    )
