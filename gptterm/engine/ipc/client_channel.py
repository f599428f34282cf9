"""Channel to one client, on the side of the engine's process."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

from gptterm.engine.api import SamplingParams
from gptterm.engine.ipc.protocol import Command, command_reader
from gptterm.engine.ipc.send_buffer import BACKLOG, SendBuffer

_EVERYTHING = 2**63 - 1
"""Above every id."""


class ClientChannel:
    """The connection to a client, with the state of its generations that it controls.

    Args:
        connection: a connected stream socket, owned by the channel.
        backlog: see `SendBuffer`.
        lost: called when sending fails because the client is gone; by default the socket is shut
            down, which ends `commands`.
    """

    def __init__(
        self,
        connection: socket.socket,
        backlog: int = BACKLOG,
        lost: Callable[[], None] | None = None,
    ) -> None:
        self.send_buffer = SendBuffer(connection, lost or self.hang_up, backlog)
        # Ids increase: cancelling one cancels all up to it.
        self.last_id = 0
        self.cancelled_id = 0
        self.cancelled_at = 0.0
        """Time of the last cancel, by `time.monotonic`."""
        self.sampling: tuple[int, SamplingParams] | None = None
        """Samplers that the client has set for the generation of this id."""
        self.closed = False
        self._connection = connection
        self._frames = command_reader()

    def commands(self) -> Iterator[Command]:
        """Commands of the client, until it disconnects or sends an invalid frame."""
        while data := self._receive():
            try:
                yield from self._frames.feed(data)
            except ValueError:
                return

    def cancel(self, up_to: int) -> None:
        """Cancel the generations with ids up to this one."""
        self.cancelled_id = max(self.cancelled_id, up_to)
        self.cancelled_at = time.monotonic()

    def hang_up(self) -> None:
        """Shut the connection down, which ends `commands`."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Cancel all generations and close the socket."""
        self.closed = True
        self.cancel(_EVERYTHING)
        self.send_buffer.close()
        self._connection.close()

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(1 << 16)
        except OSError:
            return b""
