"""Send buffer: reports on their way to one client."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable

from gptterm.engine.ipc.protocol import Report, encode_report

FLUSH_S = 0.008
"""Reports within this time are sent together. It is the longest delay of a token, and the shortest
interval at which the client wakes up."""
BACKLOG = 1 << 16
"""Unsent bytes from which on producers should pause."""
_PORTION = 1 << 16
"""Bytes per `sendall`, whose progress cannot be observed."""


class SendBuffer:
    """Sends reports immediately if the last one was sent a while ago, and in batches otherwise.

    `post` never blocks. For back-pressure, producers of unbounded streams must pause while
    `has_room` is false, until the buffer has `drained`.

    Args:
        lost: called from any thread when the client is gone.
        backlog: unsent bytes from which on `has_room` is false.

    Attributes:
        on_drained: called from any thread when the buffer has `drained`, after it had no room.
    """

    def __init__(
        self, connection: socket.socket, lost: Callable[[], None], backlog: int = BACKLOG
    ) -> None:
        self.on_drained: Callable[[], object] = _ignore
        self._connection = connection
        self._lost = lost
        self._backlog = backlog
        self._changed = threading.Condition()
        self._unsent = bytearray()
        self._sending = 0
        """Bytes that the thread is sending, which must be complete before others are sent."""
        self._was_full = False
        self._sent_at = 0.0
        self._closed = False
        threading.Thread(target=self._send_late, daemon=True).start()

    @property
    def unsent(self) -> int:
        """Bytes that were not passed to the socket yet."""
        return len(self._unsent) + self._sending

    def post(self, report: Report, *, at_once: bool = False) -> None:
        """Send a report, within `FLUSH_S` if the client reads, or `at_once`."""
        data = encode_report(report)
        with self._changed:
            if self._closed:
                return
            self._unsent += data
            if self._sending:
                return
            due = time.monotonic() - self._sent_at >= FLUSH_S
            if at_once or due or len(self._unsent) >= _PORTION:
                self._send_now()
            if self._unsent:
                self._changed.notify_all()

    @property
    def has_room(self) -> bool:
        """Whether less than the backlog is unsent."""
        with self._changed:
            has_room = self._closed or self.unsent < self._backlog
            self._was_full = self._was_full or not has_room
            return has_room

    @property
    def drained(self) -> bool:
        """Whether less than half of the backlog is unsent."""
        return self._closed or self.unsent < self._backlog // 2

    def flush(self, timeout_s: float) -> None:
        """Wait until everything is sent, for up to `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self.unsent == 0, timeout_s)

    def close(self) -> None:
        """Stop sending, and shut the socket down so that no `sendall` blocks."""
        with self._changed:
            self._closed = True
            self._unsent.clear()
            self._changed.notify_all()
        with contextlib.suppress(OSError):  # the client was faster
            self._connection.shutdown(socket.SHUT_RDWR)

    def _send_now(self) -> None:
        """Send what the socket accepts without blocking; the thread sends the rest."""
        try:
            sent = self._connection.send(self._unsent, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            self._closed = True
            self._lost()
            return
        del self._unsent[:sent]
        self._sent_at = time.monotonic()

    def _send_late(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._unsent)
                if self._closed:
                    return
            time.sleep(max(0.0, self._sent_at + FLUSH_S - time.monotonic()))
            with self._changed:
                data = bytes(self._unsent[:_PORTION])
                del self._unsent[:_PORTION]
                self._sending = len(data)
            if not data:
                continue  # sent by a later post
            try:
                self._connection.sendall(data)
            except OSError:
                with self._changed:
                    self._closed = True
                    self._changed.notify_all()
                self._lost()
                return
            with self._changed:
                self._sending = 0
                self._sent_at = time.monotonic()
                self._changed.notify_all()
                again = self._was_full and self.drained
                self._was_full = self._was_full and not again
            if again:
                self.on_drained()


def _ignore() -> None:
    """Default of `on_drained`."""
