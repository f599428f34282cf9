"""The sequences of a batch: pending, decoded in rows, or decoded alone."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gptterm.engine.decoders.base import Decoder
from gptterm.engine.generation.prefix_cache import PrefixCache
from gptterm.engine.generation.row_decoding import RowDecoding
from gptterm.engine.generation.sequence_group import PendingSequences, Row, SequenceGroup
from gptterm.engine.generation.solo_decoding import SoloDecoding

if TYPE_CHECKING:  # imports torch
    from gptterm.engine.generation.cuda_graph.decoding import StaticRun


@dataclass(eq=False)
class Solo:
    """The group that is decoded outside the rows, while it is the only one."""

    group: SequenceGroup
    decoding: "SoloDecoding | StaticRun"


class BatchSequences:
    """Moves sequences between the three places where a sequence can be.

    Attributes:
        pending: wait for rows, in order.
        rows: decoded together.
        solo: decoded alone.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.pending: deque[PendingSequences] = deque()
        self.rows = RowDecoding(decoder)
        self.solo: Solo | None = None

    def __len__(self) -> int:
        return self.decoding + sum(len(pending.sequences) for pending in self.pending)

    @property
    def empty(self) -> bool:
        return not (self.pending or self.rows or self.solo)

    @property
    def decoding(self) -> int:
        """Number of sequences that are decoded, in rows or alone."""
        return len(self.rows) + (len(self.solo.decoding.sequences) if self.solo else 0)

    def prefix_with_text(self, group: SequenceGroup) -> PrefixCache:
        """The prefix cache with the text so far of a group's first sequence."""
        self.rows.save(group)
        alone = self.solo is not None and self.solo.group is group
        prefix = self.solo.decoding.prefix if self.solo is not None and alone else group.prefix
        assert prefix is not None
        return prefix

    def remove(self, group: SequenceGroup) -> list[PendingSequences]:
        """Remove all sequences of a group. Returns those that go on, to be queued again."""
        taken = [pending for pending in self.pending if pending.group is group]
        if taken:
            self.pending = deque(pending for pending in self.pending if pending.group is not group)
        if self.solo is not None and self.solo.group is group:
            taken += self._close_solo(self.solo)
        rows = [row for row in self.rows if row.group is group]
        if rows:
            self.remove_rows(lambda row: row.group is group)
        return taken + [PendingSequences(group, [row.sequence]) for row in rows]

    def remove_rows(self, gone: Callable[[Row], bool]) -> None:
        """Remove rows. A request's first sequence is saved to its prefix cache."""
        for row in self.rows:
            group = row.group
            # Pending sequences of the group need the prefix cache to end with the prompt.
            waits = any(pending.group is group for pending in self.pending)
            first = row.sequence is group.sequences[0]
            if gone(row) and first and group.owns_prefix and not waits:
                self.rows.save(group)
        self.rows.remove(gone)

    def requeue(self) -> None:
        """Queue all sequences that are decoded, before the pending ones."""
        requeued = self.rows.discard()
        if self.solo is not None:
            requeued += self._close_solo(self.solo)
        self.pending.extendleft(reversed(requeued))

    def requeue_solo(self, solo: Solo) -> None:
        """Queue what was decoded alone, before the pending ones."""
        self.pending.extendleft(reversed(self._close_solo(solo)))

    def _close_solo(self, solo: Solo) -> list[PendingSequences]:
        self.solo = None
        solo.decoding.close()
        going = [s for s in solo.decoding.sequences if s.finish_reason is None]
        return [PendingSequences(solo.group, [sequence]) for sequence in going]
