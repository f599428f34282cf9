"""Caches of models that run on the transformers library, behind the decoders' interface."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


class TransformersCache:
    """Adapter of the library's own cache object, of the kind that the model needs.

    Args:
        make_past: makes an empty one.
    """

    def __init__(self, make_past: Callable[[], Any]) -> None:
        self._make_past = make_past
        self.past = make_past()
        self.length = 0

    @torch.inference_mode()
    def crop(self, length: int) -> int:
        if 0 < length < self.length:
            try:
                self.past.crop(length - self.length)
                self.length = length
            except (AttributeError, NotImplementedError, RuntimeError, ValueError):
                length = 0  # a recurrent state or a full sliding window cannot be truncated
        if length == 0:
            self.past, self.length = self._make_past(), 0
        return self.length

    @torch.inference_mode()
    def copy_from(self, other: "TransformersCache", length: int) -> int:
        self.past, self.length = copy.deepcopy(other.past), other.length
        return self.crop(length)

    @torch.inference_mode()
    def fork(self, rows: list[int]) -> "TransformersCache":
        """Copy these rows, in this order, to a new cache."""
        forked = copy.copy(self)
        forked.past = copy.deepcopy(self.past)
        forked.select(rows)
        return forked

    @torch.inference_mode()
    def select(self, rows: list[int]) -> None:
        """Reduce the cache to these rows, in this order."""
        self.past.reorder_cache(torch.tensor(rows))


class RecomputingCache:
    """Stand-in for models without a cache (GPT-1): all ids, which every step feeds again."""

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
    """Sequences of the same length, in one cache."""

    cache: TransformersCache | RecomputingCache
    size: int


@dataclass(eq=False)
class _Row:
    """Location of one sequence."""

    group: _Group
    index: int
    """In the group's cache."""


class BatchedTransformersCache:
    """Cache of several sequences, in groups that were added together.

    Each group is a forward pass of its own: the library's kinds of caches differ too much for
    sequences of different lengths to share one.
    """

    def __init__(self) -> None:
        self._rows: list[_Row] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(
        self,
        cache: TransformersCache | RecomputingCache,
        copies: int,
        capacity: int,  # noqa: ARG002 (the library's caches grow)
    ) -> None:
        group = _Group(cache.fork([0] * copies), copies)
        self._rows += [_Row(group, index) for index in range(copies)]

    def remove(self, row: int) -> None:
        removed = self._rows[row]
        self._rows[row] = self._rows[-1]
        self._rows.pop()
        group, last = removed.group, removed.group.size - 1
        group.size = last
        if last:
            # The last sequence of the group takes its row there, too.
            group.cache.select([last if i == removed.index else i for i in range(last)])
        for other in self._rows:
            if other.group is group and other.index == last:
                other.index = removed.index

    def copy_row(self, row: int, cache: TransformersCache | RecomputingCache) -> None:
        """Make `cache` a copy of a row."""
        index, group = self._rows[row].index, self._rows[row].group
        vars(cache).update(vars(group.cache.fork([index])))

    def forward(self, ids: Tensor, forward: Callable[[Tensor, Any], Tensor | None]) -> Tensor:
        """(rows, 1) ids → (rows, vocabulary) logits, by a forward pass for each group."""
        groups: dict[_Group, list[tuple[int, int]]] = {}
        for index, row in enumerate(self._rows):
            groups.setdefault(row.group, []).append((row.index, index))
        parts, order = [], []
        for group, members in groups.items():
            indices = [index for _, index in sorted(members)]
            logits = forward(ids[indices], group.cache)
            assert logits is not None
            parts.append(logits)
            order += indices
        if len(parts) == 1 and order == sorted(order):
            return parts[0]
        return torch.cat(parts)[torch.tensor(order).argsort()]
