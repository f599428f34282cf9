"""Sequences of one request in a batch, with and without a row."""

import time
from dataclasses import dataclass, field

from gptterm.engine.api import GenerateRequest, Started
from gptterm.engine.decoders.base import Decoder
from gptterm.engine.generation.prefix_cache import PrefixCache, PrefixPool
from gptterm.engine.generation.sequence import Sequence, start_sequences
from gptterm.engine.prompt.context_budget import fit
from gptterm.engine.runtime.memory_bounds import check_cache
from gptterm.engine.text.tokenizer import Tokenizer


@dataclass(eq=False)
class SequenceGroup:
    """The sequences of one request, which continue the same prompt."""

    number: int
    request: GenerateRequest
    sequences: list[Sequence] = field(default_factory=list)
    prefix: PrefixCache | None = None
    """Holds the prompt, and later the first sequence's text."""
    reused: int = 0
    """Prompt tokens that were cached."""
    prefilled: bool = False
    """Whether the prompt is prefilled completely."""
    paused: bool = False
    suspended: list["PendingSequences"] = field(default_factory=list)
    """Sequences of a paused group."""

    def begin(self, decoder: Decoder, tokenizer: Tokenizer, prefixes: PrefixPool) -> Started:
        """Fit the prompt into the context, find its cached prefix, and create the sequences.

        Raises:
            GpttermError: as `fit`.
            OutOfMemoryError: there is no room for prompt and reply.
        """
        started = time.perf_counter()
        fitted = fit(self.request, tokenizer, decoder.context_length, decoder.vocab_size)
        ids = list(fitted.prompt.ids)
        self.reused = self.acquire_prefix(prefixes, ids).rewind(ids)
        new = len(ids) - self.reused + fitted.max_tokens
        check_cache(new, decoder.cache_bytes_per_token, decoder.device)
        report, self.sequences = start_sequences(
            self.request, fitted, tokenizer, self.reused, decoder.context_length, started
        )
        return report

    def acquire_prefix(self, prefixes: PrefixPool, ids: list[int]) -> PrefixCache:
        """The group's prefix cache, or another one if that was given to another request."""
        if self.prefix is None or not (self.owns_prefix and self.prefix.in_use):
            self.prefix = prefixes.acquire(ids, self)
        return self.prefix

    def release_prefix(self, prefixes: PrefixPool) -> None:
        """Let other requests reuse the prefix cache."""
        if self.prefix is not None:
            prefixes.release(self.prefix, self)

    @property
    def finished(self) -> bool:
        """Whether all sequences have ended."""
        return all(sequence.finish_reason is not None for sequence in self.sequences)

    @property
    def owns_prefix(self) -> bool:
        """Whether the prefix cache was not given to another request."""
        return self.prefix is not None and self.prefix.owner is self


@dataclass(eq=False)
class PendingSequences:
    """Sequences of a group, with the same ids so far, that wait for rows."""

    group: SequenceGroup
    sequences: list[Sequence]

    @property
    def ids(self) -> list[int]:
        """The ids of each of them."""
        return self.sequences[0].ids

    @property
    def fed(self) -> bool:
        """Whether the ids are prefilled, and the logits after them known."""
        prefix = self.group.prefix
        return prefix is not None and prefix.known_logits(self.ids) is not None


@dataclass(eq=False)
class Row:
    """A row of the batched KV cache, which holds all but the last id of a sequence."""

    group: SequenceGroup
    sequence: Sequence
