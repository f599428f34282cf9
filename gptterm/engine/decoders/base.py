"""What the pipeline asks of a decoder: ids in, the last position's logits out, a cache between."""

from typing import Protocol

from torch import Tensor


class Cache(Protocol):
    """Keys and values of the tokens fed so far. All rows have the same length."""

    @property
    def length(self) -> int:
        """Tokens in the cache."""
        ...

    def crop(self, length: int) -> int:
        """Forget what follows the first `length` tokens; return how many are in fact kept.

        Fewer may be kept than asked for (none, if the kind of cache cannot be shortened). To keep
        0 always works, also after a forward pass has failed half-way.
        """
        ...

    def fork(self, rows: int, capacity: int) -> "Cache":
        """A new cache in which the one row of this one stands `rows` times.

        `capacity` is the number of tokens it will have to hold.
        """
        ...

    def select(self, rows: list[int]) -> None:
        """Keep these rows, in this order."""
        ...


class Decoder(Protocol):
    """A causal language model's forward pass."""

    @property
    def architecture(self) -> str:
        """The model class's name in the transformers library."""
        ...

    @property
    def vocab_size(self) -> int: ...

    @property
    def context_length(self) -> int:
        """Most tokens of prompt and reply together."""
        ...

    @property
    def prefill_chunk(self) -> int:
        """Most tokens of a prompt fed at once: bounds memory, and the time until a cancel acts."""
        ...

    @property
    def parameters(self) -> int: ...

    @property
    def device(self) -> str: ...

    @property
    def dtype(self) -> str: ...

    def new_cache(self) -> Cache:
        """An empty cache of one row, for up to `context_length` tokens."""
        ...

    def forward(self, ids: Tensor, cache: Cache, *, logits: bool = True) -> Tensor | None:
        """Feed tokens and append them to the cache.

        Args:
            ids: (rows, n) int64, on any device.
            logits: False spares the head's product, for all but the last chunk of a prompt.

        Returns:
            The last position's raw logits, (rows, vocab_size) float32; None if not wanted.
        """
        ...
