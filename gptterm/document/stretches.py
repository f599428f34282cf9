"""The stretch in which two texts differ."""

from collections.abc import Callable
from typing import NamedTuple


class Stretch(NamedTuple):
    """A change of a text: the part from `start` to `end` becomes `text`."""

    start: int
    end: int
    text: str


def changed_stretch(old: str, new: str) -> Stretch:
    """Return the shortest stretch, by the longest common beginning and end."""
    limit = min(len(old), len(new))
    start = _longest(limit, lambda length: old[:length] == new[:length])
    end = _longest(
        limit - start, lambda length: old[len(old) - length :] == new[len(new) - length :]
    )
    return Stretch(start, len(old) - end, new[start : len(new) - end])


def _longest(limit: int, holds: Callable[[int], bool]) -> int:
    """The largest length for which `holds`; by bisection, each step of which is a memcmp."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low
