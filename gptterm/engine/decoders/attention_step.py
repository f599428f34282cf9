"""Attention of one forward pass: positions, KV cache update and scaled dot products."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from gptterm.engine.kernels.attention import Attention


class AttentionStep(ABC):
    """One forward pass of new tokens over a KV cache, n for each of its sequences.

    The only place that knows the positions and the mask: a decoder asks for `positions` and calls
    `attend` in every layer. Rows below are sequences · n.

    Args:
        keys, values: the cache by layer, (sequences, heads, capacity, head_dim) each.
        sequences, n: of the new tokens; the first sequences of the cache are meant.
        length: cached tokens of the longest sequence.

    Attributes:
        kernel: computes the attention, if it is set; torch does otherwise.

    Raises:
        ValueError: there are no new tokens, or more than the cache has room for.
    """

    kernel: Attention | None = None

    def __init__(
        self,
        keys: Sequence[Tensor] | Tensor,
        values: Sequence[Tensor] | Tensor,
        sequences: int,
        n: int,
        length: int,
    ) -> None:
        if sequences < 1 or n < 1:
            raise ValueError(f"a step of {n} tokens for each of {sequences} sequences")
        self._keys, self._values = keys, values
        _, self._heads, capacity, _ = keys[0].shape
        if not 0 <= length <= capacity - n:
            raise ValueError(
                f"{n} more tokens after {length} do not fit the KV cache's capacity of {capacity};"
                " crop it, or make one with more"
            )
        self._sequences, self._n = sequences, n
        self._views: dict[int | None, tuple[slice, Tensor | None]] = {}

    @property
    @abstractmethod
    def positions(self) -> slice | Tensor:
        """The new tokens' positions, as an index; broadcasts to (sequences, n)."""

    @abstractmethod
    def commit(self) -> None:
        """Count the new tokens as cached: every layer has appended them."""

    @abstractmethod
    def _append(self, cache: Tensor, new: Tensor) -> None:
        """Write a layer's new keys or values, (sequences, heads, n, head_dim), to its cache."""

    @abstractmethod
    def _view(self, window: int | None) -> tuple[slice, Tensor | None]:
        """The columns of the cache that are attended to, and the mask over them.

        None for a mask is causal order, which needs none where n is 1.
        """

    def attend(
        self,
        layer: int,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        scale: float | None = None,
        window: int | None = None,
    ) -> Tensor:
        """Append a layer's new keys and values to the cache; (rows, width) of the attention.

        Args:
            query, key, value: (rows, width) each.
            scale: of the scores; None is 1/√head_dim.
            window: a token attends to itself and the `window - 1` before it; None is all before it.
        """
        if self.kernel is not None:
            return self.kernel(layer, query, key, value, scale, window)
        keys, values = self._keys[layer], self._values[layer]
        self._append(keys, self._split_heads(key))
        self._append(values, self._split_heads(value))
        if window not in self._views:
            self._views[window] = self._view(window)
        columns, mask = self._views[window]
        out = F.scaled_dot_product_attention(
            self._split_heads(query),
            keys[: self._sequences, :, columns],
            values[: self._sequences, :, columns],
            attn_mask=mask,
            is_causal=mask is None and self._n > 1,
            scale=scale,
        )
        return out.transpose(1, 2).reshape(len(query), -1)

    def _split_heads(self, x: Tensor) -> Tensor:
        """(rows, width) → (sequences, heads, n, head_dim)."""
        return x.view(self._sequences, self._n, self._heads, -1).transpose(1, 2)
