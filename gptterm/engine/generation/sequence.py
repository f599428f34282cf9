"""The state of one sequence while it is generated: ids, random generator, text, end."""

import random
import secrets
import time
from collections.abc import Generator

import msgspec
import numpy as np

from gptterm.engine.api import (
    Finished,
    FinishReason,
    GenerateRequest,
    SamplingParams,
    Started,
    Timings,
    Token,
    Usage,
)
from gptterm.engine.decoders.base import Logits
from gptterm.engine.inspection.pieces import best_tokens
from gptterm.engine.inspection.token_statistics import row_statistics
from gptterm.engine.prompt.context_budget import FittedPrompt
from gptterm.engine.sampling.batched import sample_tokens
from gptterm.engine.sampling.chain import TokenCounts
from gptterm.engine.text.detokenize import detokenizer
from gptterm.engine.text.text_end import text_end
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.engine.text.word_bias import for_next_token


class Sequence:
    """Converts the ids drawn for a sequence to events, until it ends.

    Attributes:
        ids: the prompt's and, as they are drawn, the reply's.
        max_length: maximum number of ids.
        sampling: parameters for the next token.
        token_counts: for the penalties.
        generator: its own random generator.
        finish_reason: None until it has ended.
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
        self._ends = frozenset() if request.ignore_eos else tokenizer.end_ids | prompt.ends
        self._max_tokens = fitted.max_tokens
        self._detokenizer = detokenizer(tokenizer, prompt.ids)
        self._stops = text_end((*request.stop, *prompt.stop), request.until)
        self._strip = prompt.strip
        self._usage = usage
        self._started = started
        self._first = self._latest = 0.0
        self._count = 0

    def next_sampling(self) -> SamplingParams:
        """Return the samplers of the next token, with biases of tokens alone."""
        return for_next_token(self.sampling, self.ids, self._tokenizer)

    def advance(
        self, token_id: int, logits: Logits | None
    ) -> Generator[Token | Finished, None, None]:
        """Append the id drawn from a (vocabulary,) row of raw logits.

        Args:
            logits: for the log probabilities; None for a request that asks for none.
        """
        if token_id in self._ends:
            yield self._finish("eos")
            return
        self.ids.append(token_id)
        self.token_counts.add(token_id)
        self._count += 1
        self._latest = time.perf_counter()
        if self._count == 1:
            self._first = self._latest
        token = Token(
            sample=self._index,
            id=token_id,
            text=self._shown(self._stops.push(self._detokenizer.push(token_id))),
            piece=self._tokenizer.piece(token_id),
        )
        yield token if self._logprobs is None else self._scored(token, logits, self._logprobs)
        if self._stops.matched is not None:
            yield self._finish("stop")
        elif self._count == self._max_tokens:
            yield self._finish("length")

    def _shown(self, text: str) -> str:
        """Strip the white space that the transcript format puts before a reply."""
        if self._strip:
            text = text.lstrip()
            self._strip = not text
        return text

    def _scored(self, token: Token, logits: Logits | None, alternatives: int) -> Token:
        """The token with its log probability, rank, entropy and alternatives."""
        assert logits is not None
        (found,) = row_statistics(logits[None], np.array([token.id]))
        return msgspec.structs.replace(
            token,
            logprob=found.logprob,
            rank=found.rank,
            entropy_bits=found.entropy_bits,
            alternatives=best_tokens(logits, found.log_total, self._tokenizer, alternatives),
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


def start_sequences(
    request: GenerateRequest,
    fitted: FittedPrompt,
    tokenizer: Tokenizer,
    reused_tokens: int,
    context_length: int,
    started: float,
) -> tuple[Started, list[Sequence]]:
    """Create the sequences of a request, and the event that reports its start.

    Args:
        fitted: the prompt.
        started: start time by `time.perf_counter`.
    """
    ids = fitted.prompt.ids
    usage = Usage(
        prompt_tokens=len(ids),
        completion_tokens=0,
        reused_tokens=reused_tokens,
        dropped_tokens=fitted.dropped_tokens,
    )
    seed = secrets.randbits(32) if request.seed is None else request.seed
    sequences = [
        Sequence(i, request, fitted, tokenizer, seed + i, usage, started)
        for i in range(request.samples)
    ]
    report = Started(
        prompt_tokens=usage.prompt_tokens,
        reused_tokens=reused_tokens,
        dropped_tokens=fitted.dropped_tokens,
        dropped_messages=fitted.dropped_messages,
        context_length=context_length,
        seed=seed,
        prompt_ids=tuple(ids),
        notices=fitted.notices,
    )
    return report, sequences


def draw(logits: Logits, sequences: list[Sequence]) -> list[int]:
    """Draw an id for each sequence from (rows, vocabulary) raw logits.

    Raises:
        UnusableLogitsError: no token of a row can be drawn; no generator was used.
    """
    return sample_tokens(
        logits,
        [sequence.next_sampling() for sequence in sequences],
        [sequence.token_counts for sequence in sequences],
        [sequence.generator for sequence in sequences],
    )
