"""Decoding of a single sequence in its prefix cache, with speculation by prompt lookup."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gptterm.engine.api import Finished, Token
from gptterm.engine.decoders.base import Decoder
from gptterm.engine.generation.prefix_cache import PrefixCache
from gptterm.engine.generation.prompt_lookup import PromptLookup
from gptterm.engine.generation.sequence import Sequence, draw
from gptterm.engine.generation.sequence_group import PendingSequences

if TYPE_CHECKING:  # imports torch
    from gptterm.engine.generation.cuda_graph.decoding import StaticDecoding, StaticRun


class SoloDecoding:
    """Decodes a sequence that was prefilled.

    Attributes:
        prefix: holds the sequence.
        sequences: the one sequence.
        applies_samplers: as `StaticRun`'s.
    """

    def __init__(self, decoder: Decoder, prefix: PrefixCache, sequence: Sequence) -> None:
        self.prefix = prefix
        self.sequences = [sequence]
        self.applies_samplers = True
        self._lookup = PromptLookup() if decoder.supports_speculation else None

    def step(self) -> Iterator[Token | Finished]:
        """Decode one token, or feed a chunk of a text that has to be computed anew.

        Raises:
            UnusableLogitsError: no token can be drawn.
        """
        (sequence,) = self.sequences
        draft: list[int] = []
        if self._lookup is not None:
            draft = self._lookup.draft(sequence.ids, sequence.max_length)
        logits = self.prefix.next_logits(sequence.ids, draft)
        if logits is None:
            return
        (token_id,) = draw(logits, [sequence])
        yield from sequence.advance(token_id, logits[0])

    def close(self) -> None:
        """Stop; the sequence can be continued elsewhere."""


def solo_decoding(
    pending: PendingSequences, decoder: Decoder, static: "StaticDecoding | None"
) -> "SoloDecoding | StaticRun | None":
    """Decoding of sequences that are the only ones; None if they need rows."""
    group, sequences = pending.group, pending.sequences
    assert group.prefix is not None
    whole = len(sequences) == len(group.sequences)
    if whole and static is not None and static.supports(group.request, sequences[0].sampling):
        return static.start(group.prefix, sequences)
    return SoloDecoding(decoder, group.prefix, sequences[0]) if len(group.sequences) == 1 else None
