"""The stretch in which two texts differ."""

from collections.abc import Callable
from typing import NamedTuple

_BLOCK = 1 << 14


class Stretch(NamedTuple):
    """A change of a text: the part from `start` to `end` becomes `text`."""

    start: int
    end: int
    text: str


def changed_stretch(old: str, new: str) -> Stretch:
    """Return the shortest stretch, by the longest common beginning and end."""
    limit = min(len(old), len(new))
    start = _longest(limit, lambda first, last: old[first:last] == new[first:last])
    before, after = len(old), len(new)
    end = _longest(
        limit - start,
        lambda first, last: (
            old[before - last : before - first] == new[after - last : after - first]
        ),
    )
    return Stretch(start, len(old) - end, new[start : len(new) - end])


def _longest(limit: int, same: Callable[[int, int], bool]) -> int:
    """The longest common part; by blocks, of which the last is bisected: each step is a memcmp.

    Args:
        same: whether the texts are the same from one place to another, counted from the beginning
            of the part.
    """
    low = 0
    while low < limit and same(low, min(low + _BLOCK, limit)):
        low = min(low + _BLOCK, limit)
    begin, high = low, min(low + _BLOCK, limit)
    while low < high:
        middle = (low + high + 1) // 2
        if same(begin, middle):
            low = middle
        else:
            high = middle - 1
    return low
