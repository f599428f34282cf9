"""Decoding of a single sequence, in its prefix cache: the fastest way while it is alone."""

from collections.abc import Iterator

from gptterm.engine.api import Finished, Token
from gptterm.engine.decoders.base import Decoder
from gptterm.engine.generation.cuda_graph.decoding import StaticDecoding, StaticRun
from gptterm.engine.generation.prefix_cache import PrefixCache
from gptterm.engine.generation.prompt_lookup import PromptLookup
from gptterm.engine.generation.sequence import Sequence, draw
from gptterm.engine.generation.sequence_group import Entry


class SoloDecoding:
    """Draws the tokens of one sequence whose prompt was prefilled.

    Speculates by prompt lookup where the decoder supports it.

    Attributes:
        prefix: holds what was fed of the sequence.
        sequences: the one.
    """

    def __init__(self, decoder: Decoder, prefix: PrefixCache, sequence: Sequence) -> None:
        self.prefix = prefix
        self.sequences = [sequence]
        self._lookup = PromptLookup() if decoder.supports_speculation else None

    def step(self) -> Iterator[Token | Finished]:
        """Draw the next token.

        Raises:
            UnusableLogitsError: none can be drawn.
        """
        (sequence,) = self.sequences
        draft: list[int] = []
        if self._lookup is not None:
            draft = self._lookup.draft(sequence.ids, sequence.max_length)
        logits = self.prefix.logits_after(sequence.ids, draft)
        (token_id,) = draw(logits, [sequence])
        yield from sequence.advance(token_id, logits[0])

    def close(self) -> None:
        """Leave the sequence as it is; it can go on elsewhere."""


def solo_decoding(
    entry: Entry, decoder: Decoder, static: StaticDecoding | None
) -> SoloDecoding | StaticRun | None:
    """How to decode an entry that is alone; None where rows are the only way."""
    group, sequences = entry.group, entry.sequences
    assert group.prefix is not None
    whole = len(sequences) == len(group.sequences)
    if whole and static is not None and static.supports(group.request):
        return static.start(group.prefix, sequences)
    return SoloDecoding(decoder, group.prefix, sequences[0]) if len(group.sequences) == 1 else None
