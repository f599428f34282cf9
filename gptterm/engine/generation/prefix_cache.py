"""The one row of KV cache that outlives a request, and the ids that are in it."""

from collections.abc import Generator, Sequence

import torch
from torch import Tensor

from gptterm.engine.api import Prefilled
from gptterm.engine.decoders.base import Cache, Decoder


def reusable(cached: Sequence[int], prompt: Sequence[int]) -> int:
    """Length of the common prefix of two id sequences, leaving at least one id to be fed.

    Ids are compared, never text: the same text encoded twice may differ in its ids.
    """
    limit = max(0, min(len(cached), len(prompt) - 1))
    old, new = list(cached[:limit]), list(prompt[:limit])
    if old == new:  # nearly always, and at once
        return limit
    return next(i for i, (one, other) in enumerate(zip(old, new, strict=True)) if one != other)


class PrefixCache:
    """What an engine remembers between requests, so that a prompt's known beginning is not fed.

    Attributes:
        cache: of one row. It belongs to the prefix cache, which alone feeds it.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.cache: Cache = decoder.new_cache()
        self._decoder = decoder
        self._ids: list[int] = []
        self._logits: Tensor | None = None
        """(n, vocabulary), after each of the last n ids."""

    def rewind(self, prompt: Sequence[int]) -> int:
        """Keep what a prompt can reuse; returns how many of its ids need not be fed."""
        kept = self.cache.crop(reusable(self._ids, prompt))
        del self._ids[kept:]
        self._logits = None
        return kept

    def prefill(self, ids: Sequence[int]) -> Generator[Prefilled, None, Tensor]:
        """Feed what of `ids` is not in the cache, by chunks; returns the logits after the last.

        Those are (1, vocabulary) and raw.
        """
        reused = self.rewind(ids)
        total = len(ids) - reused
        for start in range(reused, len(ids), self._decoder.prefill_chunk):
            chunk = ids[start : start + self._decoder.prefill_chunk]
            end = start + len(chunk)
            self._feed(chunk, last=int(end == len(ids)))
            yield Prefilled(done=end - reused, total=total)
        return self.logits_after(ids)

    def logits_after(self, ids: Sequence[int], draft: Sequence[int] = ()) -> Tensor:
        """(1, vocabulary) raw logits after all of `ids`; only what is not in the cache is fed.

        Args:
            draft: a guess at what follows `ids`. When something is to be fed, it is fed behind it,
                and where the guess turns out right the next logits are already there.
        """
        row = self._row(ids)
        if row is None:
            kept = self.rewind(ids)
            if len(ids) - kept == 1:
                self._feed([ids[-1], *draft], last=1 + len(draft))
            else:
                for _ in self.prefill(ids):
                    pass
            row = self._row(ids)
        assert row is not None
        return row

    def _row(self, ids: Sequence[int]) -> Tensor | None:
        """The logits after `ids`, if they are at hand."""
        if self._logits is None:
            return None
        index = len(ids) - 1 - len(self._ids) + len(self._logits)
        known = 0 <= index < len(self._logits) and self._ids[: len(ids)] == ids
        return self._logits[index : index + 1] if known else None

    def adopt(self, ids: Sequence[int]) -> None:
        """Take note of what stands in the cache, where another hand has put it."""
        self._ids, self._logits = list(ids), None

    def _feed(self, ids: Sequence[int], *, last: int) -> None:
        """Append ids to the cache; logits are wanted after each of the `last` ones."""
        try:
            self._logits = self._decoder.forward(torch.tensor([list(ids)]), self.cache, last=last)
        except BaseException:
            # Layers before the fault have stored these ids, layers after it have not.
            self._ids, self._logits = [], None
            self.cache.crop(0)
            raise
        self._ids += ids
