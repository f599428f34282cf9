"""The distribution that a token of a text was drawn from: `TokenRequest`."""

from collections.abc import Generator
from typing import NamedTuple

import msgspec
import numpy as np

from gptterm.engine.api import Candidate, NextToken
from gptterm.engine.decoders.base import Cache, Decoder, Ids, Logits
from gptterm.engine.inspection.answers import (
    Progress,
    TokenScore,
    TokenView,
)
from gptterm.engine.inspection.pieces import TextPieces
from gptterm.engine.inspection.requests import TokenRequest
from gptterm.engine.inspection.text_cache import TextCaches, as_ids
from gptterm.engine.inspection.token_statistics import row_statistics
from gptterm.engine.inspection.windows import view_start
from gptterm.engine.sampling.chain import TokenCounts
from gptterm.engine.sampling.distribution import next_token_distribution
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.engine.text.word_bias import for_next_token


class _Latest(NamedTuple):
    """Logits that were asked for last."""

    ids: Ids
    """That were read."""
    logits: Logits
    """(1, vocabulary) after them."""


class TokenViews:
    """Answers requests for distributions.

    Keeps the last logits: other samplers at the same position cost no pass.
    """

    def __init__(self, decoder: Decoder, tokenizer: Tokenizer, caches: TextCaches) -> None:
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._caches = caches
        self._latest: _Latest | None = None

    def view(self, request: TokenRequest) -> Generator[Progress, None, TokenView]:
        """Read the text before the position, and return what followed it.

        Raises:
            UnusableLogitsError: no token can be drawn.
        """
        ids, position = request.ids, request.position
        context = self._decoder.context_length
        start = view_start(position, context)
        if position == 0:
            return TokenView(
                position=0,
                window_start=0,
                score=self._unscored(ids),
                used=None,
                cut=None,
                distribution=None,
            )
        logits = yield from self._logits(as_ids(ids[start : start + context]), position - start)
        distribution, own = self._distribution(request, logits[0])
        return TokenView(
            position=position,
            window_start=start,
            score=self._score(request, logits),
            used=own.used if own is not None else None,
            cut=own.cut if own is not None else None,
            distribution=distribution,
        )

    def _logits(self, ids: Ids, length: int) -> Generator[Progress, None, Logits]:
        """(1, vocabulary) logits after the first `length` ids."""
        latest = self._latest
        if latest is None or not np.array_equal(latest.ids, ids[:length]):
            with self._caches.lend() as cache:
                logits = yield from cache.run(ids, length - 1, length, self._feed)
            self._latest = latest = _Latest(ids[:length], logits)
        return latest.logits

    def _feed(self, ids: Ids, cache: Cache) -> Logits:
        logits = self._decoder.forward(ids, cache)
        assert logits is not None
        return logits

    def _distribution(
        self, request: TokenRequest, row: Logits
    ) -> tuple[NextToken, Candidate | None]:
        """The distribution, and the text's own token in it; None at the end of the text."""
        ids, position, limit = request.ids, request.position, request.limit
        generated = position if request.prompt_tokens is None else request.prompt_tokens
        counts = TokenCounts(ids[: min(generated, position)])
        for token_id in ids[generated:position]:
            counts.add(token_id)
        own = ids[position] if position < len(ids) else None
        tokenizer = self._tokenizer
        sampling = for_next_token(request.sampling, ids[:position], tokenizer)
        found = next_token_distribution(
            row, sampling, counts, tokenizer.piece, limit,
            also=own, special=tokenizer.special_ids,
        )  # fmt: skip
        candidate = next((c for c in found.candidates if c.id == own), None)
        return msgspec.structs.replace(found, candidates=found.candidates[:limit]), candidate

    def _score(self, request: TokenRequest, logits: Logits) -> TokenScore | None:
        ids, position = request.ids, request.position
        if position == len(ids):
            return None
        (found,) = row_statistics(logits, as_ids(ids[position : position + 1]))
        return TokenScore(
            id=ids[position],
            piece=TextPieces(self._tokenizer, ids)[position],
            logprob=found.logprob,
            rank=found.rank,
            entropy_bits=found.entropy_bits,
        )

    def _unscored(self, ids: tuple[int, ...]) -> TokenScore | None:
        """The first token, which follows nothing."""
        if not ids:
            return None
        return TokenScore(id=ids[0], piece=TextPieces(self._tokenizer, ids)[0])
