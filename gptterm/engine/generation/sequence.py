"""One sequence on its way: its generator, its text, its end."""

import random
import time
from collections.abc import Generator

import torch
from torch import Tensor

from gptterm.engine.api import (
    Alternative,
    Finished,
    FinishReason,
    GenerateRequest,
    Timings,
    Token,
    Usage,
)
from gptterm.engine.prompt.context_budget import FittedPrompt
from gptterm.engine.sampling.batched import sample_tokens
from gptterm.engine.sampling.chain import TokenCounts
from gptterm.engine.text.detokenize import detokenizer
from gptterm.engine.text.stop_strings import StopMatcher
from gptterm.engine.text.tokenizer import Tokenizer


class Sequence:
    """Turns the ids drawn for one sequence into events, until it ends.

    Attributes:
        sequence: the prompt's ids and, as they are drawn, the text's.
        capacity: most ids that `sequence` will ever have.
        sampling: how the next id is drawn.
        history: what the penalties look at.
        generator: the sequence's own; nothing else draws from it.
        reason: why the sequence ended; None while it goes on.
    """

    def __init__(
        self,
        index: int,
        request: GenerateRequest,
        fitted: FittedPrompt,
        tokenizer: Tokenizer,
        seed: int,
        usage: Usage,
        started: float,
    ) -> None:
        prompt = fitted.prompt
        self.ids = list(prompt.ids)
        self.max_length = len(prompt.ids) + fitted.max_tokens
        self.sampling = request.sampling
        self.token_counts = TokenCounts(prompt.ids)
        self.generator = random.Random(seed)
        self.finish_reason: FinishReason | None = None
        self._index = index
        self._tokenizer = tokenizer
        self._logprobs = request.logprobs
        self._ends = frozenset() if request.ignore_eos else tokenizer.end_ids
        self._max_tokens = fitted.max_tokens
        self._detokenizer = detokenizer(tokenizer, prompt.ids)
        self._stops = StopMatcher((*request.stop, *prompt.stop))
        self._strip = prompt.strip
        self._usage = usage
        self._started = started
        self._first = self._latest = 0.0
        self._count = 0

    def advance(self, token_id: int, logits: Tensor) -> Generator[Token | Finished, None, None]:
        """Take the id drawn from a (vocabulary,) row of raw logits."""
        if token_id in self._ends:
            yield self._finish("eos")
            return
        self.ids.append(token_id)
        self.token_counts.add(token_id)
        self._count += 1
        self._latest = time.perf_counter()
        if self._count == 1:
            self._first = self._latest
        logprob, alternatives = self._score(token_id, logits)
        yield Token(
            sample=self._index,
            id=token_id,
            text=self._shown(self._stops.push(self._detokenizer.push(token_id))),
            piece=self._tokenizer.piece(token_id),
            logprob=logprob,
            alternatives=alternatives,
        )
        if self._stops.matched is not None:
            yield self._finish("stop")
        elif self._count == self._max_tokens:
            yield self._finish("length")

    def _shown(self, text: str) -> str:
        """White space that a transcript's form puts before a reply is not part of the reply."""
        if self._strip:
            text = text.lstrip()
            self._strip = not text
        return text

    def _score(self, token_id: int, logits: Tensor) -> tuple[float | None, tuple[Alternative, ...]]:
        if self._logprobs is None:
            return None, ()
        scores = torch.log_softmax(logits, 0)
        best = torch.topk(scores, min(self._logprobs, len(scores)))
        pairs: list[tuple[int, float]] = list(
            zip(best.indices.tolist(), best.values.tolist(), strict=True)
        )
        return float(scores[token_id]), tuple(
            Alternative(id=i, piece=self._tokenizer.piece(i), logprob=value) for i, value in pairs
        )

    def _finish(self, reason: FinishReason) -> Finished:
        self.finish_reason = reason
        now = time.perf_counter()
        span = self._latest - self._first
        text = self._shown(self._stops.push(self._detokenizer.flush()) + self._stops.flush())
        if self._stops.matched is not None:
            self.finish_reason = reason = "stop"
        return Finished(
            sample=self._index,
            reason=reason,
            text=text,
            stop=self._stops.matched,
            usage=Usage(
                prompt_tokens=self._usage.prompt_tokens,
                completion_tokens=self._count,
                reused_tokens=self._usage.reused_tokens,
                dropped_tokens=self._usage.dropped_tokens,
            ),
            timings=Timings(
                first_token_s=(self._first or now) - self._started,
                total_s=now - self._started,
                tokens_per_s=(self._count - 1) / span if span > 0 else 0.0,
            ),
        )


def draw(logits: Tensor, sequences: list[Sequence]) -> list[int]:
    """One id for each sequence from its row of raw (rows, vocabulary) logits.

    Raises:
        UnusableLogitsError: one row has no token that can be drawn; nothing was drawn for any.
    """
    return sample_tokens(
        logits,
        [sequence.sampling for sequence in sequences],
        [sequence.token_counts for sequence in sequences],
        [sequence.generator for sequence in sequences],
    )
