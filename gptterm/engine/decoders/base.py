"""Protocols of a decoder and its KV caches: ids in, logits out, a cache in between."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Logits = NDArray[np.float32]


class Cache(Protocol):
    """Cache of one sequence: what a forward pass needs of the tokens that were fed."""

    @property
    def length(self) -> int:
        """Tokens in the cache."""
        ...

    def expect(self, length: int) -> int:
        """Prepare for a text of `length` tokens, of which it holds the first; return how many.

        Fewer may remain, of a model that computes texts of that length in another way.
        """
        ...

    def crop(self, length: int) -> int:
        """Truncate to the first `length` tokens; return how many remain.

        Fewer may remain than asked for (none, if the kind of cache cannot be truncated). Cropping
        to 0 always works, also after a forward pass has failed half-way.
        """
        ...

    def copy_from(self, other: Any, length: int) -> int:
        """Become a copy of the first `length` tokens of another cache of the same decoder.

        Returns how many it holds, which may be fewer, as in `crop`.
        """
        ...


class BatchedCache(Protocol):
    """Cache of a ragged batch: several sequences, fed one token each at a time.

    After a forward pass or an `add` has failed, its contents are undefined.
    """

    def __len__(self) -> int: ...

    def add(self, cache: Any, copies: int, capacity: int) -> None:
        """Add `copies` of a sequence.

        Args:
            cache: the sequence's, of the same decoder.
            capacity: tokens that each copy must have room for.
        """
        ...

    def remove(self, row: int) -> None:
        """Remove a sequence; the last one takes its row."""
        ...

    def copy_row(self, row: int, cache: Any) -> None:
        """Complete `cache`, which holds the first tokens of a row, with a copy of the rest."""
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
        """Maximum tokens of prompt and reply together."""
        ...

    def limit_context(self, length: int) -> None:
        """Bound `context_length`, before any cache is made."""
        ...

    def keep_cache_in(self, dtype: str) -> bool:
        """Make caches from now on in this dtype; return whether that can be done."""
        ...

    @property
    def cache_dtype(self) -> str:
        """Dtype of keys and values in new caches."""
        ...

    @property
    def prefill_chunk(self) -> int:
        """Maximum tokens of a prompt per pass: bounds memory, and the latency of a cancel."""
        ...

    @property
    def supports_speculation(self) -> bool:
        """Whether a pass over several tokens gives the same bits as one pass for each.

        Then draft tokens can be verified in one pass, and no text depends on the draft.
        """
        ...

    @property
    def cache_bytes_per_token(self) -> int:
        """Size of a token's keys and values, as far as it is known beforehand."""
        ...

    @property
    def parameters(self) -> int: ...

    @property
    def device(self) -> str: ...

    @property
    def dtype(self) -> str: ...

    @property
    def notices(self) -> tuple[str, ...]:
        """Lines for the user, about what it could not do as it should."""
        ...

    def new_cache(self) -> Cache:
        """Make an empty cache for up to `context_length` tokens."""
        ...

    def new_batched_cache(self) -> BatchedCache:
        """Make a cache of no sequences."""
        ...

    def forward(self, ids: Ids, cache: Cache | BatchedCache, *, last: int = 1) -> Logits | None:
        """Feed tokens and append them to the cache.

        Args:
            ids: (1, n) for one sequence, (rows, 1) for a batch.
            last: tokens at the end whose logits are returned. 0 saves the LM head, for all but the
                last chunk of a prompt; more than 1 is for one sequence only.

        Returns:
            Raw logits in the host's memory, (last, vocab_size) or (rows, vocab_size); None if
            `last` is 0.
        """
        ...
