"""Which part of the KV cache the next prompt can keep."""

from collections.abc import Sequence


def reusable(cached: Sequence[int], prompt: Sequence[int]) -> int:
    """Length of the common prefix of two id sequences, leaving at least one id to be fed.

    Ids are compared, never text: the same text encoded twice may differ in its ids.
    """
    limit = min(len(cached), len(prompt) - 1)
    for index in range(limit):
        if cached[index] != prompt[index]:
            return index
    return max(limit, 0)
