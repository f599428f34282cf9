"""Decoding of many sequences together, each in a row of a batched KV cache."""

from collections.abc import Callable, Iterator

import numpy as np

from gptterm.engine.decoders.base import Decoder, Logits
from gptterm.engine.generation.sequence import Sequence
from gptterm.engine.generation.sequence_group import PendingSequences, Row, SequenceGroup


class RowDecoding:
    """The rows of a batch, and their forward pass.

    After `feed` or `add` has failed, only `discard` may follow.
    """

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._rows: list[Row] = []
        self._cache = decoder.new_batched_cache()

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def add(self, group: SequenceGroup, sequences: list[Sequence]) -> list[Row]:
        """Add sequences whose ids are in the group's prefix cache."""
        assert group.prefix is not None
        group.prefix.drop_draft(sequences[0].ids)
        self._cache.add(group.prefix.cache, len(sequences), sequences[0].max_length)
        rows = [Row(group, sequence) for sequence in sequences]
        self._rows += rows
        return rows

    def feed(self) -> Logits:
        """Feed the latest id of every sequence. Returns (rows, vocabulary) raw logits."""
        latest = np.array([[row.sequence.ids[-1]] for row in self._rows])
        logits = self._decoder.forward(latest, self._cache)
        assert logits is not None
        return logits

    def save(self, group: SequenceGroup) -> None:
        """Copy the row of a group's first sequence, if it has one, to the group's prefix cache."""
        for index, row in enumerate(self._rows):
            if row.sequence is group.sequences[0] and group.prefix is not None:
                group.prefix.save_row(self._cache, index, row.sequence.ids)

    def remove(self, gone: Callable[[Row], bool]) -> None:
        """Remove rows."""
        indices = [index for index, row in enumerate(self._rows) if gone(row)]
        if len(indices) == len(self._rows):
            self.discard()
            return
        for index in reversed(indices):
            self._cache.remove(index)
            self._rows[index] = self._rows[-1]
            self._rows.pop()

    def discard(self) -> list[PendingSequences]:
        """Remove all rows. Returns their sequences, to be queued again."""
        entries = [PendingSequences(row.group, [row.sequence]) for row in self._rows]
        self._rows, self._cache = [], self._decoder.new_batched_cache()
        return entries
