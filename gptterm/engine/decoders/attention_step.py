"""Attention of one forward pass: positions, KV cache update and scaled dot products."""

from abc import ABC, abstractmethod
from typing import Literal, Protocol

from gptterm.engine.decoders.layers import Array

Point = Literal["input", "attention"]
"""Points of a block: before anything is computed; after its attention is added."""


class StepCache(Protocol):
    """KV cache, as a step sees it."""

    @property
    def length(self) -> int:
        """Tokens of the longest sequence."""
        ...

    @property
    def capacity(self) -> int:
        """Tokens that each sequence has room for."""
        ...

    def advance(self, n: int) -> None:
        """Count `n` more tokens of each sequence."""
        ...


class AttentionStep(ABC):
    """One forward pass of new tokens over a KV cache, n for each of its sequences.

    The only place that knows the positions and the mask: a decoder asks for `positions` and calls
    `attend` in every layer.

    Args:
        sequences, n: of the new tokens; the first sequences of the cache are meant.

    Attributes:
        rows: sequences · n.

    Raises:
        ValueError: there are no new tokens, or more than the cache has room for.
    """

    def __init__(self, cache: StepCache, sequences: int, n: int) -> None:
        if sequences < 1 or n < 1:
            raise ValueError(f"a step of {n} tokens for each of {sequences} sequences")
        length, capacity = cache.length, cache.capacity
        if not 0 <= length <= capacity - n:
            raise ValueError(
                f"{n} more tokens after {length} do not fit the KV cache's capacity of {capacity};"
                " crop it, or make one with more"
            )
        self._cache, self._n = cache, n
        self.rows = sequences * n

    @property
    @abstractmethod
    def positions(self) -> Array:
        """The new tokens' positions, (rows,) integers, or (1,) if all rows share it."""

    @abstractmethod
    def attend(
        self,
        layer: int,
        query: Array,
        key: Array,
        value: Array,
        *,
        scale: float | None = None,
        window: int | None = None,
        soft_cap: float | None = None,
        bias: Array | None = None,
    ) -> Array:
        """Append a layer's new keys and values to the cache, and attend; as `query`'s shape.

        Args:
            query: (rows, heads · head_dim).
            key, value: (rows, kv_heads · head_dim); heads / kv_heads consecutive query heads share
                one of these (grouped-query attention, Ainslie et al., 2023).
            scale: of the scores; None is 1/√head_dim.
            window: a token attends to itself and the `window - 1` before it; None is all before it.
            soft_cap: scores s become soft_cap · tanh(s / soft_cap); None leaves them.
            bias: (heads, positions) float32, by position: a token's score of a key is raised by the
                key's bias minus its own, which is ALiBi's distance (Press et al., 2022); None is 0.
        """

    def tap(self, layer: int, point: Point, x: Array) -> None:  # noqa: B027 (usually nothing)
        """Show a block's (rows, hidden_size) residual stream to whoever inspects the model.

        Every page calls it at both points of each block; see `gptterm.engine.decoders.tap`.
        """

    def commit(self) -> None:
        """Count the new tokens as cached: every layer has appended them."""
        self._cache.advance(self._n)
