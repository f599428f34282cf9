"""Comparison of two models on one text: KL divergence of their next-token distributions."""

from collections.abc import Generator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gptterm.engine.decoders.base import Cache, Decoder, Logits
from gptterm.engine.inspection.answers import TokenScore
from gptterm.engine.inspection.pieces import TextPieces, best_tokens
from gptterm.engine.inspection.requests import ScoreRequest
from gptterm.engine.inspection.text_cache import as_ids
from gptterm.engine.inspection.token_statistics import RowStatistics, row_statistics
from gptterm.engine.inspection.windows import Window, score_windows
from gptterm.engine.runtime.device import is_out_of_memory
from gptterm.engine.sampling.chain import NotFiniteError
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.errors import ModelError, OutOfMemoryError

_LOGITS_BYTES = 1 << 24
"""Of one chunk of one model."""
_FEWEST_ROWS = 16


class ComparedToken(NamedTuple):
    """A token in its place, and what both models expected there."""

    first: TokenScore
    second: TokenScore
    kl: float | None
    """KL divergence of the second model's distribution from the first's, in nats; None for a first
    token that follows nothing."""


class Comparison:
    """One text, read by two models with one vocabulary, in windows of the shorter context.

    The windows are those of `ScoreRequest`. Memory is that of one chunk and two KV caches.

    Args:
        tokenizer: of both.
    """

    def __init__(
        self, first: Decoder, second: Decoder, tokenizer: Tokenizer, request: ScoreRequest
    ) -> None:
        self._decoders = (first, second)
        self._tokenizer = tokenizer
        self._request = request
        start = tokenizer.scoring_start
        given = not request.start_token or request.ids[: len(start)] == start
        self.start_ids: tuple[int, ...] = () if given else start
        self.ids = request.ids
        self._text = as_ids((*self.start_ids, *request.ids))
        self._pieces = TextPieces(tokenizer, request.ids)
        context = min(decoder.context_length for decoder in self._decoders)
        stride = min(request.stride or max(1, context // 2), context)
        self._windows = list(score_windows(len(self._text), context, stride))
        self.windows = max(1, len(self._windows))
        self.stride = stride if self.windows > 1 else 0
        rows = _LOGITS_BYTES // (4 * first.vocab_size)
        self._rows = min(
            max(rows, _FEWEST_ROWS), *(decoder.prefill_chunk for decoder in self._decoders)
        )

    def tokens(self) -> Generator[tuple[ComparedToken, ...], None, None]:
        """Yield the tokens of the text in chunks, in order.

        Raises:
            GpttermError: no room, or logits that are NaN or infinite.
        """
        if len(self._text) and not self.start_ids:
            unscored = TokenScore(id=int(self._text[0]), piece=self._pieces[0])
            yield (ComparedToken(unscored, unscored, None),)
        for window in self._windows:
            caches = [decoder.new_cache() for decoder in self._decoders]
            try:
                yield from self._window(window, caches)
            except NotFiniteError as error:
                raise ModelError(str(error)) from error
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                raise OutOfMemoryError("no room to run both models: try a smaller one") from error

    def _window(
        self, window: Window, caches: list[Cache]
    ) -> Generator[tuple[ComparedToken, ...], None, None]:
        for at in range(window.start, window.end - 1, self._rows):
            end = min(at + self._rows, window.end - 1)
            ids = self._text[None, at:end]
            # The logits after a token are about the next one.
            scored = end + 1 - max(at + 1, window.first)
            pair = [
                decoder.forward(ids, cache, last=max(0, scored))
                for decoder, cache in zip(self._decoders, caches, strict=True)
            ]
            if scored > 0:
                yield self._compare(pair, end + 1 - scored)

    def _compare(self, pair: list[Logits | None], first: int) -> tuple[ComparedToken, ...]:
        """Compare logits about tokens from `first` on, an index of the text with its start."""
        one, other = pair
        assert one is not None
        assert other is not None
        targets = self._text[first : first + len(one)]
        statistics = [row_statistics(logits, targets) for logits in (one, other)]
        return tuple(
            ComparedToken(
                self._score(first + i, one[i], statistics[0][i]),
                self._score(first + i, other[i], statistics[1][i]),
                _kl(one[i], other[i]),
            )
            for i in range(len(targets))
        )

    def _score(self, index: int, row: Logits, found: RowStatistics) -> TokenScore:
        return TokenScore(
            id=int(self._text[index]),
            piece=self._pieces[index - len(self.start_ids)],
            logprob=found.logprob,
            rank=found.rank,
            entropy_bits=found.entropy_bits,
            alternatives=best_tokens(
                row, found.log_total, self._tokenizer, self._request.alternatives
            ),
        )


def _kl(one: Logits, other: Logits) -> float:
    """KL divergence, in nats, of the distribution of a row of logits from another's.

    In float64: that of two number formats is smaller than what float32 rounds away.
    """
    p, q = _log_probabilities(one), _log_probabilities(other)
    # exp(-inf) · (-inf - q) is 0: a token that the first model bans.
    terms = np.where(np.isneginf(p), 0.0, np.exp(p) * (p - q))
    return max(0.0, float(np.sum(terms)))


def _log_probabilities(row: Logits) -> NDArray[np.float64]:
    scores = row.astype(np.float64)
    scores -= scores.max()
    scores -= np.log(np.exp(scores).sum())
    return scores
