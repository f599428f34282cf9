"""BackgroundWriter: records written by a thread, since a reader that pauses blocks a write."""

import threading
from collections import deque
from collections.abc import Callable

_MOST_BYTES = 8 << 20
"""Bytes that wait to be written, beyond which no further job begins."""


class BackgroundWriter:
    """Writes records in their order: at once what blocks nobody, the others in a thread.

    Args:
        write: writes a whole record; what it raises ends the writing.
        is_ready: whether it would write so many bytes without a wait.
    """

    def __init__(
        self, write: Callable[[bytes], None], is_ready: Callable[[int], bool] = lambda _: False
    ) -> None:
        self._write = write
        self._is_ready = is_ready
        self._records: deque[bytes] = deque()
        self._size = 0
        """Bytes in `_records`, and of the one that is being written."""
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        threading.Thread(target=self._run, daemon=True).start()

    def put(self, record: bytes) -> None:
        """Write a record, or leave it to the thread; returns at once.

        Raises what writing it, or an earlier one, raised.
        """
        with self._changed:
            self.check()
            if not self._size and self._is_ready(len(record)):
                self._write(record)
                return
            self._records.append(record)
            self._size += len(record)
            self._changed.notify_all()

    def check(self) -> None:
        """Raise what writing raised, if it did."""
        if self._error is not None:
            raise self._error

    @property
    def has_room(self) -> bool:
        """Whether the writing keeps up, so that more records may be made, or has failed."""
        return self._size < _MOST_BYTES or self._error is not None

    def wait_for_room(self, timeout_s: float) -> bool:
        """Wait, at most so long, until the writing has caught up; return whether it has.

        Raises what writing raised.
        """
        with self._changed:
            self._changed.wait_for(lambda: self.has_room, timeout_s)
            self.check()
            return self.has_room

    def flush(self, timeout_s: float) -> bool:
        """Wait, at most so long, until all is written; return whether it is.

        Raises what writing raised.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._size or self._error is not None, timeout_s)
            self.check()
            return not self._size

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._records)
                record = self._records.popleft()
            try:
                # One by one: a pipe takes a short record whole, also when this process is killed.
                self._write(record)
            except BaseException as error:
                self._error = error
            with self._changed:
                self._size -= len(record)
                self._changed.notify_all()
            if self._error is not None:
                return
