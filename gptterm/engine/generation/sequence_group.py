"""Sequences of one request in a batch, with and without a row."""

import time
from dataclasses import dataclass, field

from gptterm.engine.api import GenerateRequest, Started
from gptterm.engine.decoders.base import Decoder
from gptterm.engine.generation.prefix_cache import PrefixCache, PrefixPool
from gptterm.engine.generation.sequence import Sequence, start_sequences
from gptterm.engine.prompt.context_budget import fit
from gptterm.engine.text.tokenizer import Tokenizer


@dataclass(eq=False)
class SequenceGroup:
    """A request that has begun: sequences that continue the same prompt."""

    number: int
    request: GenerateRequest
    sequences: list[Sequence] = field(default_factory=list)
    prefix: PrefixCache | None = None
    """Where the prompt is fed, and where the first sequence's text goes when it ends."""
    reused: int = 0
    """Tokens of the prompt that were in the cache."""
    prefilled: bool = False
    """Whether the whole prompt was fed."""
    paused: bool = False
    aside: list["Entry"] = field(default_factory=list)
    """State of a group that was taken out of the batch while it is paused."""

    def begin(self, decoder: Decoder, tokenizer: Tokenizer, prefixes: PrefixPool) -> Started:
        """Make the prompt fit, find what of it is cached, and make the sequences.

        Raises:
            GpttermError: as `fit`.
        """
        started = time.perf_counter()
        fitted = fit(self.request, tokenizer, decoder.context_length, decoder.vocab_size)
        ids = list(fitted.prompt.ids)
        self.reused = self.acquire_prefix(prefixes, ids).rewind(ids)
        report, self.sequences = start_sequences(
            self.request, fitted, tokenizer, self.reused, decoder.context_length, started
        )
        return report

    def acquire_prefix(self, prefixes: PrefixPool, ids: list[int]) -> PrefixCache:
        """A prefix cache of this group for text that begins with `ids`."""
        if self.prefix is None or not (self.owns_prefix and self.prefix.in_use):
            self.prefix = prefixes.acquire(ids, self)
        return self.prefix

    def release_prefix(self, prefixes: PrefixPool) -> None:
        """Leave the text in the prefix cache for other requests."""
        if self.prefix is not None:
            prefixes.release(self.prefix, self)

    @property
    def finished(self) -> bool:
        """Whether all sequences have ended."""
        return all(sequence.finish_reason is not None for sequence in self.sequences)

    @property
    def owns_prefix(self) -> bool:
        """Whether the text in the prefix cache is still this request's."""
        return self.prefix is not None and self.prefix.owner is self


@dataclass(eq=False)
class Entry:
    """Sequences of a group, alike so far, that wait for rows."""

    group: SequenceGroup
    sequences: list[Sequence]

    @property
    def ids(self) -> list[int]:
        """Ids that all of its sequences begin with."""
        return self.sequences[0].ids

    @property
    def fed(self) -> bool:
        """Whether all of it is in the prefix cache, and the logits after it are known."""
        prefix = self.group.prefix
        return prefix is not None and prefix.known_logits(self.ids) is not None


@dataclass(eq=False)
class Row:
    """A row of a batched cache, which holds all but the last id of a sequence."""

    group: SequenceGroup
    sequence: Sequence
