"""Which part of the KV cache the next prompt can keep."""

from collections.abc import Sequence


def reusable(cached: Sequence[int], prompt: Sequence[int]) -> int:
    """Length of the common prefix of two id sequences, leaving at least one id to be fed.

    Ids are compared, never text: the same text encoded twice may differ in its ids.
    """
    limit = max(0, min(len(cached), len(prompt) - 1))
    old, new = list(cached[:limit]), list(prompt[:limit])
    if old == new:  # nearly always, and at once
        return limit
    return next(i for i, (one, other) in enumerate(zip(old, new, strict=True)) if one != other)
