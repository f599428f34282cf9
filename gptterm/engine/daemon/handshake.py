"""Handshake of client and daemon, which may be of different versions.

Compatibility: a message may gain fields with a default; none may be removed or renamed. After the
handshake, equal versions speak `gptterm.engine.ipc.protocol`.
"""

import contextlib
import os
import socket
import struct
from typing import TypeVar

import msgspec

from gptterm.engine.api import AdapterSource

T = TypeVar("T")

_length = struct.Struct(">I")
_MAX_MESSAGE = 1 << 16
"""Bytes of a message; a longer one is refused."""


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class Hello(_Message, frozen=True, kw_only=True):
    """Request to attach. Answered by `Welcome`."""

    version: str
    """Version of gptterm."""
    fingerprint: str = msgspec.field(name="stamp")
    """See `fingerprint_of`. A daemon of another fingerprint retires, and the client starts its
    successor."""
    keep_alive_s: float | None = None
    """New keep-alive time of the daemon; None leaves it as it is."""


class AskStatus(_Message, frozen=True, kw_only=True):
    """Request for the status. Answered by `EngineStatus`."""


class Welcome(_Message, frozen=True, kw_only=True):
    """Answer to `Hello`: whether the client is accepted."""

    accepted: bool
    pid: int
    outdated: bool = False
    """Not accepted because the fingerprints differ: the daemon has given up its name."""
    version: str = ""
    keep_alive_s: float = 0.0
    """The daemon's keep-alive time, to be passed on to its successor."""


class EngineStatus(_Message, frozen=True, kw_only=True):
    """Status of a daemon."""

    pid: int
    version: str = ""
    state: str = ""
    """`loading`, `idle`, `generating` or `failed`."""
    model: str = ""
    directory: str = ""
    device: str = ""
    """The engine's device; while it loads, the one that was requested."""
    dtype: str = ""
    asked_device: str = ""
    """The device that was requested, such as `auto`."""
    asked_dtype: str = ""
    kv_dtype: str = "auto"
    """As asked for; likewise the next ones."""
    context: int | None = None
    adapters: tuple[AdapterSource, ...] = ()
    clients: int = 0
    waiting: int = 0
    """Number of clients with a queued generation."""
    generations: int = 0
    """Number begun so far."""
    uptime_s: float = 0.0
    keep_alive_s: float = 0.0
    """Time without a client after which it exits; infinite: never."""
    idle_s: float = 0.0
    """Time without a client so far."""
    memory: int = 0
    """Resident bytes; 0 when unknown."""


CLIENT_MESSAGES = msgspec.msgpack.Decoder(Hello | AskStatus)
WELCOME = msgspec.msgpack.Decoder(Welcome)
STATUS = msgspec.msgpack.Decoder(EngineStatus)


def send(connection: socket.socket, message: Hello | AskStatus | Welcome | EngineStatus) -> None:
    """Send a message.

    Raises:
        OSError: the peer is gone.
    """
    body = msgspec.msgpack.encode(message)
    connection.sendall(_length.pack(len(body)) + body)


def receive(connection: socket.socket, decoder: msgspec.msgpack.Decoder[T]) -> T:
    """Receive one message, within the socket's timeout, and not a byte more.

    Raises:
        TimeoutError: none arrived.
        OSError: the peer is gone.
        ValueError: it sent something else.
    """
    (length,) = _length.unpack(_receive_exactly(connection, _length.size))
    if length > _MAX_MESSAGE:
        raise ValueError(f"a handshake of {length} bytes")
    return decoder.decode(_receive_exactly(connection, length))


def _receive_exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionResetError("the peer closed the connection")
        data += more
    return data


class PeerCredentials(msgspec.Struct, frozen=True):
    """Process at the other end of a socket, from the kernel."""

    pid: int
    uid: int


def peer_credentials(connection: socket.socket) -> PeerCredentials | None:
    """Return the peer's credentials; None where the kernel has none (all but Linux)."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    credentials = struct.Struct("3i")
    pid, uid, _ = credentials.unpack(
        connection.getsockopt(socket.SOL_SOCKET, option, credentials.size)
    )
    return PeerCredentials(pid, uid)


def is_same_user(connection: socket.socket) -> bool:
    """Whether the peer is this user's. Unknown counts as yes: the directory has mode 0700."""
    peer = peer_credentials(connection)
    return peer is None or peer.uid == os.geteuid()


def resident_memory() -> int:
    """Return this process's resident bytes; 0 where unknown (all but Linux)."""
    with contextlib.suppress(OSError, ValueError), open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
