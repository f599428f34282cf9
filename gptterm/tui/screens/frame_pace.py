"""Pace of the frames of a stream: what takes long is drawn less often."""

from collections.abc import Callable
from time import monotonic

REST = 8.0
"""Rest after a frame, in times of what preparing it took, which is half of its work."""
LONGEST_REST_S = 0.15


class FramePace:
    """Rests after each frame, so that a key, which waits for one in progress, seldom meets one.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._rests_until = 0.0

    def draw(self, prepare: Callable[[], None]) -> None:
        """Prepare a frame, unless it is too early."""
        begun = self._clock()
        if begun < self._rests_until:
            return
        prepare()
        now = self._clock()
        self._rests_until = now + min(REST * (now - begun), LONGEST_REST_S)
