"""Logit lens: what each layer would have said.

nostalgebraist, "interpreting GPT: the logit lens", 2020: the residual stream of every layer goes
through the final norm and the LM head, as the last layer's does.
"""

import math
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from functools import partial

import numpy as np

from gptterm.engine.decoders.attention_step import Point
from gptterm.engine.decoders.base import Cache, Ids, Logits
from gptterm.engine.decoders.tap import AttentionWeights, Floats, Observable
from gptterm.engine.inspection.answers import (
    LensCell,
    LensColumn,
    LensRow,
    LensView,
    Progress,
)
from gptterm.engine.inspection.pieces import best_tokens
from gptterm.engine.inspection.requests import LensRequest
from gptterm.engine.inspection.text_cache import TextCaches, as_ids
from gptterm.engine.inspection.token_statistics import LOWEST, row_statistics
from gptterm.engine.inspection.windows import view_start
from gptterm.engine.text.tokenizer import Tokenizer

_LOGITS_BYTES = 1 << 26
"""Of the layers' logits that are computed together."""


class Lens:
    """Answers requests for the lens."""

    def __init__(self, decoder: Observable, tokenizer: Tokenizer, caches: TextCaches) -> None:
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._caches = caches

    def view(self, request: LensRequest) -> Generator[Progress, None, LensView]:
        """The lens at each of the positions."""
        points: tuple[Point, ...] = ("input", "attention") if request.attention else ("input",)
        rows = [LensRow(layer=i, point=p) for i in range(self._decoder.num_layers) for p in points]
        rows.append(LensRow(layer=self._decoder.num_layers, point="input"))
        columns: dict[int, LensColumn] = {}
        for start, first, end in self._passes(request.positions, len(rows)):
            ids = as_ids(request.ids[start:end])
            tap = _ResidualTap()
            with self._caches.lend() as cache:
                yield from cache.run(
                    ids, first - start, end - start, partial(self._observe, tap=tap)
                )
            rows = [row for row in rows if (row.layer, row.point) in tap.residuals]
            residuals = np.stack([tap.residuals[row.layer, row.point] for row in rows])
            logits = self._decoder.unembed(residuals.reshape(-1, residuals.shape[-1]))
            logits = logits.reshape(len(rows), end - first, -1)
            for position in range(first, end):
                cells = self._cells(request, logits[:, position - first], position)
                columns[position] = LensColumn(position=position, window_start=start, cells=cells)
            yield Progress(done=len(columns), total=len(set(request.positions)))
        return LensView(
            rows=tuple(rows), columns=tuple(columns[position] for position in request.positions)
        )

    def _passes(self, positions: Iterable[int], rows: int) -> Iterator[tuple[int, int, int]]:
        """Runs of positions that follow one another, with the window that they share."""
        context = self._decoder.context_length
        most = max(1, _LOGITS_BYTES // (4 * rows * self._decoder.vocab_size))
        ahead = deque(sorted(set(positions)))
        while ahead:
            first = ahead.popleft()
            start, end = view_start(first + 1, context), first + 1
            while ahead and ahead[0] == end < min(first + most, start + context):
                end = ahead.popleft() + 1
            yield start, first, end

    def _observe(self, ids: Ids, cache: Cache, tap: "_ResidualTap") -> None:
        self._decoder.observe(ids, cache, tap)

    def _cells(self, request: LensRequest, logits: Logits, position: int) -> tuple[LensCell, ...]:
        """Cells of a position, from the (rows, vocabulary) logits of the layers."""
        ids, count = request.ids, len(logits)
        final = logits[-1]
        said = int(final.argmax())
        following = ids[position + 1] if position + 1 < len(ids) else None
        found = row_statistics(logits, np.full(count, said))
        weights = np.exp(final - np.float32(found[-1].log_total))
        # KL(p || q) = -H(p) - Σ p log q, where log q is a logit minus the total.
        seen = np.maximum(logits, logits.max(-1, keepdims=True) + LOWEST)
        expected = seen @ weights / weights.sum(dtype=np.float64)
        own_entropy = found[-1].entropy_bits * math.log(2)
        divergences = [
            max(0.0, own.log_total - float(expected[i]) - own_entropy)
            for i, own in enumerate(found[:-1])
        ]
        divergences.append(0.0)  # of the last layer from itself, without what rounding adds
        then = None if following is None else row_statistics(logits, np.full(count, following))
        return tuple(
            LensCell(
                best=best_tokens(logits[i], own.log_total, self._tokenizer, request.limit),
                probability=math.exp(own.logprob),
                rank=own.rank,
                next_probability=math.exp(then[i].logprob) if then is not None else None,
                next_rank=then[i].rank if then is not None else None,
                entropy_bits=own.entropy_bits,
                kl=divergences[i],
            )
            for i, own in enumerate(found)
        )


class _ResidualTap:
    """A tap for residuals."""

    def __init__(self) -> None:
        self.residuals: dict[tuple[int, Point], Floats] = {}

    def residual(self, layer: int, point: Point, x: Floats) -> None:
        self.residuals[layer, point] = x

    def attention(self, layer: int, weights: AttentionWeights) -> None:
        """Not asked for."""
