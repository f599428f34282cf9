"""Sink: records in the order of the input, or as they come, a line at a time."""

from collections.abc import Callable


class Sink:
    """Writes records, each at once when it is its turn.

    Args:
        write: writes one line, whole.
        ordered: keep the order in which the records' places were taken.
        window: places that may be taken beyond the first open one: what bounds the records that
            wait for an earlier one.
    """

    def __init__(self, write: Callable[[bytes], None], *, ordered: bool, window: int) -> None:
        self._write = write
        self._ordered = ordered
        self._window = window
        self._taken = 0
        self._written = 0
        self._waiting: dict[int, bytes] = {}

    @property
    def has_room(self) -> bool:
        """Whether another place may be taken."""
        return not self._ordered or self._taken - self._written < self._window

    def take(self) -> int:
        """Take the next place."""
        self._taken += 1
        return self._taken - 1

    def put(self, place: int, record: bytes) -> None:
        """Write a record, now or when those before it are written.

        Raises what `write` does.
        """
        if not self._ordered:
            self._write(record)
            return
        self._waiting[place] = record
        while (waiting := self._waiting.pop(self._written, None)) is not None:
            self._written += 1
            self._write(waiting)
