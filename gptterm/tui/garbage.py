"""Garbage collections between the streams, not within: a full one delays a key."""

import gc

COLLECT_EVERY = 4
"""Streams between two full garbage collections. What Textual draws is cyclic garbage afterwards,
and what is frozen when it becomes garbage is not collected by others."""


class Garbage:
    """Freezes what is alive when a stream begins.

    A collection over everything alive takes tens of milliseconds, and a stream triggers one every
    second.
    """

    def __init__(self) -> None:
        self._streams = 0

    def begin(self) -> None:
        """Leave what is alive, and its garbage, out of the collections to come."""
        gc.freeze()

    def end(self) -> None:
        """Collect what the stream has left; a few milliseconds, every few streams of everything."""
        self._streams += 1
        if self._streams % COLLECT_EVERY == 0:
            gc.unfreeze()
        gc.collect()
