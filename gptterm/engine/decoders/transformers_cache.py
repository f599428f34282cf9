"""Caches of models that run on the transformers library, behind the decoders' interface."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from gptterm.engine.decoders.transformers_state import Feeding


class TransformersCache:
    """State of sequences of one length, and their ids.

    Args:
        feeding: how the model is fed, which says what the state is.
    """

    def __init__(self, feeding: Feeding) -> None:
        self.feeding = feeding
        self.past = feeding.new_past()
        self.ids = torch.empty(1, 0, dtype=torch.int64)

    @property
    def length(self) -> int:
        return self.ids.shape[1]

    def expect(self, length: int) -> int:  # noqa: ARG002 (the library knows no longer text)
        return self.length

    @torch.inference_mode()
    def crop(self, length: int) -> int:
        if 0 < length < self.length and not self._crop_past(length):
            length = 0
        if length == 0:
            self.past = self.feeding.new_past()
            self.ids = self.ids[:1]
        self.ids = self.ids[:, :length]
        return self.length

    def _crop_past(self, length: int) -> bool:
        feeding = self.feeding
        if feeding.state == "none":
            return True
        if not feeding.can_crop or feeding.crosses(length, self.length):
            return False
        return self.past.crop(self.length - length)

    @torch.inference_mode()
    def copy_from(self, other: "TransformersCache", length: int) -> int:
        self.past, self.ids = other.past.copy(), other.ids
        return self.crop(length)

    @torch.inference_mode()
    def feed(
        self, ids: Tensor, last: int, more: Mapping[str, Any] = MappingProxyType({})
    ) -> Tensor | None:
        """Feed (rows, n) ids, with more arguments of the forward pass, if any.

        Returns:
            (rows, `last`, vocabulary) logits after the last ids; None if `last` is 0.
        """
        feeding, start = self.feeding, self.length
        whole = torch.cat([self.ids, ids.cpu()], dim=1)
        if feeding.state == "none" or feeding.crosses(start, whole.shape[1]):
            if last == 0 and feeding.state == "none":  # the next pass feeds these ids again
                self.ids = whole
                return None
            self.past = feeding.new_past()
            start, ids = 0, whole
        steps = 1 if feeding.one_by_one and start > 0 else ids.shape[1]
        logits: list[Tensor] = []
        for part in torch.split(ids, steps, dim=1):
            logits.append(feeding.run(part, self.past, start, last, more))
            start += part.shape[1]
        self.ids = whole
        return torch.cat(logits, dim=1)[:, -last:] if last else None

    @torch.inference_mode()
    def fork(self, rows: list[int]) -> "TransformersCache":
        """Copy these rows, in this order, to a new cache."""
        forked = copy.copy(self)
        forked.past = self.past.copy()
        forked.select(rows)
        return forked

    @torch.inference_mode()
    def select(self, rows: list[int]) -> None:
        """Reduce the cache to these rows, in this order."""
        index = torch.tensor(rows)
        self.past.select(index)
        self.ids = self.ids[index]


@dataclass(eq=False)
class _Group:
    """Sequences of the same length, in one cache."""

    cache: TransformersCache
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
        cache: TransformersCache,
        copies: int,
        capacity: int,  # noqa: ARG002 (the library's caches grow)
    ) -> None:
        size = copies if cache.feeding.batched else 1
        for _ in range(copies // size):
            group = _Group(cache.fork([0] * size), size)
            self._rows += [_Row(group, index) for index in range(size)]

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

    def copy_row(self, row: int, cache: TransformersCache) -> None:
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
