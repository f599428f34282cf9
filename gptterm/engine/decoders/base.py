"""What the pipeline asks of a decoder: ids in, logits out, a cache between."""

from typing import Any, Protocol

from torch import Tensor


class Cache(Protocol):
    """Keys and values of the tokens fed so far of one sequence."""

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

    def copy_from(self, other: Any, length: int) -> int:
        """Hold a copy of the first `length` tokens of another cache of the same decoder.

        Returns how many it holds in fact, as `crop` does.
        """
        ...


class BatchedCache(Protocol):
    """The same of several sequences, each of its own length, for one token more of each at once.

    After a forward pass or an entry that has failed, nothing in it is of use.
    """

    def __len__(self) -> int: ...

    def add(self, cache: Any, copies: int, capacity: int) -> None:
        """Add `copies` rows that begin as `cache` does: one that the same decoder has made.

        `capacity` is the number of tokens that each will have to hold.
        """
        ...

    def remove(self, row: int) -> None:
        """Forget a row; the last one takes its place."""
        ...

    def copy_row(self, row: int, cache: Any) -> None:
        """Append to `cache`, which holds the first tokens of a row, a copy of the rest of it."""
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
    def supports_speculation(self) -> bool:
        """Whether a pass over a few tokens gives the same bits as one pass for each.

        Then tokens may be fed on a guess that they come next, and no text depends on the guess.
        """
        ...

    @property
    def cache_bytes_per_token(self) -> int:
        """Size of a token's keys and values in a cache, as far as it is known beforehand."""
        ...

    @property
    def parameters(self) -> int: ...

    @property
    def device(self) -> str: ...

    @property
    def dtype(self) -> str: ...

    def new_cache(self) -> Cache:
        """An empty cache for up to `context_length` tokens."""
        ...

    def new_batched_cache(self) -> BatchedCache:
        """No rows yet."""
        ...

    def forward(self, ids: Tensor, cache: Cache | BatchedCache, *, last: int = 1) -> Tensor | None:
        """Feed tokens and append them to the cache.

        Args:
            ids: (rows, n) int64, on any device; (1, n) for a cache, (rows, 1) for rows.
            last: after how many of the last tokens logits are wanted. 0 spares the head's product,
                for all but the last chunk of a prompt; more than 1 is for a cache only.

        Returns:
            Raw logits, (last, vocab_size) or for rows (rows, vocab_size), float32; None if `last`
            is 0.
        """
        ...
