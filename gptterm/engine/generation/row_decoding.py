"""Decoding of many sequences side by side, each in a row of a batched KV cache."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from gptterm.engine.decoders.base import Decoder
from gptterm.engine.generation.sequence import Sequence
from gptterm.engine.generation.sequence_group import Entry, Row, SequenceGroup


class RowDecoding:
    """The rows, and the pass that feeds all of them at once.

    After a pass or an `add` that has failed, `discard` is all that may follow.
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
        """Give these sequences rows that begin as the group's prefix cache does."""
        assert group.prefix is not None
        group.prefix.drop_draft(sequences[0].ids)
        self._cache.add(group.prefix.cache, len(sequences), sequences[0].max_length)
        rows = [Row(group, sequence) for sequence in sequences]
        self._rows += rows
        return rows

    def feed(self) -> Tensor:
        """Feed every row its sequence's latest id; (rows, vocabulary) raw logits."""
        latest = torch.tensor([[row.sequence.ids[-1]] for row in self._rows])
        logits = self._decoder.forward(latest, self._cache)
        assert logits is not None
        return logits

    def save(self, group: SequenceGroup) -> None:
        """Copy what was fed of a group's first sequence to the group's prefix cache."""
        for index, row in enumerate(self._rows):
            if row.sequence is group.sequences[0] and group.prefix is not None:
                group.prefix.save_row(self._cache, index, row.sequence.ids)

    def remove(self, gone: Callable[[Row], bool]) -> None:
        """Take rows out."""
        indices = [index for index, row in enumerate(self._rows) if gone(row)]
        if len(indices) == len(self._rows):
            self.discard()
            return
        for index in reversed(indices):
            self._cache.remove(index)
            self._rows[index] = self._rows[-1]
            self._rows.pop()

    def discard(self) -> list[Entry]:
        """Take all rows out; what puts them back."""
        entries = [Entry(row.group, [row.sequence]) for row in self._rows]
        self._rows, self._cache = [], self._decoder.new_batched_cache()
        return entries
