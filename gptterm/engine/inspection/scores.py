"""Scores of the tokens of a text: `ScoreRequest`."""

from collections.abc import Generator
from functools import partial
from typing import NamedTuple

from gptterm.engine.decoders.base import Cache, Decoder, Ids
from gptterm.engine.inspection.answers import (
    InspectionEvent,
    ScoreSummary,
    TokenScore,
    TokenScores,
)
from gptterm.engine.inspection.pieces import TextPieces, best_tokens
from gptterm.engine.inspection.requests import ScoreRequest
from gptterm.engine.inspection.text_cache import TextCache, TextCaches, as_ids
from gptterm.engine.inspection.token_statistics import row_statistics
from gptterm.engine.inspection.windows import Window, score_windows
from gptterm.engine.text.tokenizer import Tokenizer

_LOGITS_BYTES = 1 << 25
"""Of one chunk."""
_FEWEST_ROWS = 16


class _Totals(NamedTuple):
    scored: int = 0
    logprob: float = 0.0
    piece_bytes: int = 0

    def plus(self, tokens: tuple[TokenScore, ...]) -> "_Totals":
        scored = [token for token in tokens if token.logprob is not None]
        return _Totals(
            self.scored + len(scored),
            self.logprob + sum(token.logprob or 0.0 for token in scored),
            self.piece_bytes + sum(len(token.piece) for token in scored),
        )


class Scoring:
    """One request for scores.

    Args:
        caches: of short texts; a text of several windows has one of its own.
    """

    def __init__(
        self, decoder: Decoder, tokenizer: Tokenizer, caches: TextCaches, request: ScoreRequest
    ) -> None:
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._request = request
        ids, start = request.ids, tokenizer.scoring_start
        given = not request.start_token or ids[: len(start)] == start
        self._start: tuple[int, ...] = () if given else start
        self._text = as_ids((*self._start, *ids))
        self._pieces = TextPieces(tokenizer, ids)
        context = decoder.context_length
        self._stride = min(request.stride or max(1, context // 2), context)
        self._windows = list(score_windows(len(self._text), context, self._stride))
        self._caches = caches.apart() if len(self._windows) > 1 else caches
        rows = _LOGITS_BYTES // (4 * decoder.vocab_size)
        self._rows = max(rows, _FEWEST_ROWS)

    def events(self) -> Generator[InspectionEvent, None, None]:
        """Yield scores of chunks of the text, then the summary."""
        totals = _Totals()
        if self._request.first == 0 and len(self._text) and not self._start:
            unscored = TokenScore(id=int(self._text[0]), piece=self._pieces[0])
            yield TokenScores(first=0, tokens=(unscored,))
        with self._caches.lend() as cache:
            for window in self._windows:
                for event in self._score_window(cache, window):
                    if isinstance(event, TokenScores):
                        totals = totals.plus(event.tokens)
                    yield event
        yield ScoreSummary(
            **totals._asdict(),
            start_ids=self._start,
            windows=max(1, len(self._windows)),
            stride=self._stride if len(self._windows) > 1 else 0,
        )

    def _score_window(
        self, cache: TextCache, window: Window
    ) -> Generator[InspectionEvent, None, None]:
        """Score the tokens of a window, and yield them by chunks."""
        first = max(window.first, self._request.first + len(self._start))
        read = self._text[window.start : window.end - 1]
        at = first
        while at < window.end:
            end = min(at + min(self._rows, self._caches.chunk()), window.end)
            tokens = yield from cache.run(
                read, at - 1 - window.start, end - 1 - window.start, partial(self._score, at)
            )
            yield TokenScores(first=at - len(self._start), tokens=tokens)
            at = end

    def _score(self, first: int, ids: Ids, cache: Cache) -> tuple[TokenScore, ...]:
        """Feed the ids before tokens from `first` on, and score those."""
        count = ids.shape[1]
        logits = self._decoder.forward(ids, cache, last=count)
        assert logits is not None
        targets = self._text[first : first + count]
        return tuple(
            TokenScore(
                id=id_,
                piece=self._pieces[first - len(self._start) + i],
                logprob=found.logprob,
                rank=found.rank,
                entropy_bits=found.entropy_bits,
                alternatives=best_tokens(
                    logits[i], found.log_total, self._tokenizer, self._request.alternatives
                ),
            )
            for i, (id_, found) in enumerate(
                zip(targets.tolist(), row_statistics(logits, targets), strict=True)
            )
        )
