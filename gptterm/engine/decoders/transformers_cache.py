"""What the transformers library remembers of a text, behind the decoders' interface."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


class TransformersCache:
    """The library's own cache object, of whatever kind the model wants.

    Args:
        make: makes an empty one.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self.past = make()
        self.length = 0

    @torch.inference_mode()
    def crop(self, length: int) -> int:
        if 0 < length < self.length:
            try:
                self.past.crop(length - self.length)
                self.length = length
            except (AttributeError, NotImplementedError, RuntimeError, ValueError):
                length = 0  # a recurrent state, or a sliding window that is full, cannot go back
        if length == 0:
            self.past, self.length = self._make(), 0
        return self.length

    @torch.inference_mode()
    def copy_from(self, other: "TransformersCache", length: int) -> int:
        self.past, self.length = copy.deepcopy(other.past), other.length
        return self.crop(length)

    @torch.inference_mode()
    def fork(self, rows: list[int]) -> "TransformersCache":
        """A new cache of these rows of this one, in this order."""
        forked = copy.copy(self)
        forked.past = copy.deepcopy(self.past)
        forked.select(rows)
        return forked

    @torch.inference_mode()
    def select(self, rows: list[int]) -> None:
        """Keep these rows, in this order."""
        self.past.reorder_cache(torch.tensor(rows))


class RecomputingCache:
    """For a model without a cache (GPT-1): the ids, all of which are fed at each step."""

    def __init__(self) -> None:
        self.ids = torch.empty(1, 0, dtype=torch.int64)

    @property
    def length(self) -> int:
        return self.ids.shape[1]

    def crop(self, length: int) -> int:
        self.ids = self.ids[:, :length]
        return self.length

    def copy_from(self, other: "RecomputingCache", length: int) -> int:
        self.ids = other.ids[:, :length]
        return self.length

    def fork(self, rows: list[int]) -> "RecomputingCache":
        """As `TransformersCache.fork`."""
        forked = RecomputingCache()
        forked.ids = self.ids[rows]
        return forked

    def select(self, rows: list[int]) -> None:
        """As `TransformersCache.select`."""
        self.ids = self.ids[rows]


@dataclass(eq=False)
class _Group:
    """Sequences of the same length, in one cache of as many rows."""

    cache: TransformersCache | RecomputingCache
    size: int


@dataclass(eq=False)
class _Row:
    """Where one sequence is."""

    group: _Group
    place: int


class BatchedTransformersCache:
    """Several sequences. Those that entered together are fed together, others after one another:
    the library's kinds of caches differ too much for sequences of several lengths to share one.
    """

    def __init__(self) -> None:
        self._rows: list[_Row] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(
        self,
        cache: TransformersCache | RecomputingCache,
        copies: int,
        capacity: int,  # noqa: ARG002 (they grow by themselves)
    ) -> None:
        group = _Group(cache.fork([0] * copies), copies)
        self._rows += [_Row(group, place) for place in range(copies)]

    def remove(self, row: int) -> None:
        gone = self._rows[row]
        self._rows[row] = self._rows[-1]
        self._rows.pop()
        group, last = gone.group, gone.group.size - 1
        group.size = last
        if last:
            # Its group's last one takes its place there, too.
            group.cache.select([last if i == gone.place else i for i in range(last)])
        for other in self._rows:
            if other.group is group and other.place == last:
                other.place = gone.place

    def copy_row(self, row: int, cache: TransformersCache | RecomputingCache) -> None:
        """Have `cache` hold a copy of a row."""
        place, group = self._rows[row].place, self._rows[row].group
        vars(cache).update(vars(group.cache.fork([place])))

    def forward(self, ids: Tensor, feed: Callable[[Tensor, Any], Tensor | None]) -> Tensor:
        """(rows, 1) ids through one `feed` for each group; (rows, vocabulary) logits."""
        groups: dict[_Group, list[tuple[int, int]]] = {}
        for index, row in enumerate(self._rows):
            groups.setdefault(row.group, []).append((row.place, index))
        parts, order = [], []
        for group, members in groups.items():
            indices = [index for _, index in sorted(members)]
            logits = feed(ids[indices], group.cache)
            assert logits is not None
            parts.append(logits)
            order += indices
        if len(parts) == 1 and order == sorted(order):
            return parts[0]
        return torch.cat(parts)[torch.tensor(order).argsort()]
