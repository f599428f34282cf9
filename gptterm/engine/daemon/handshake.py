"""The first words between a client and a warm engine, which may be of different versions.

So these frames may gain fields that have a default, and lose or rename none. All that follows
is `gptterm.engine.ipc.protocol`, between equal versions only.
"""

import contextlib
import os
import socket
import struct
from typing import TypeVar

import msgspec

T = TypeVar("T")

_length = struct.Struct(">I")
_MAX_MESSAGE = 1 << 16
"""Bytes of a greeting; a longer one is none."""


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class Hello(_Message, frozen=True, kw_only=True):
    """A client wants to attach. Answered by `Welcome`."""

    version: str
    """gptterm's."""
    fingerprint: str = msgspec.field(name="stamp")
    """See `fingerprint_of`: an engine of another fingerprint retires, and this client starts a
    new one."""
    keep_alive_s: float | None = None
    """How long the engine is to wait for another client, from now on; None: as it is."""


class AskStatus(_Message, frozen=True, kw_only=True):
    """Answered by `EngineStatus`."""


class Welcome(_Message, frozen=True, kw_only=True):
    """Whether the client may stay."""

    accepted: bool
    pid: int
    outdated: bool = False
    """Why not: it is of another fingerprint, and leaves its place to an engine of the client's."""
    version: str = ""
    keep_alive_s: float = 0.0
    """What the engine was told last: an engine that takes its place is told the same."""


class EngineStatus(_Message, frozen=True, kw_only=True):
    """What an engine is and does."""

    pid: int
    version: str = ""
    state: str = ""
    """`loading`, `idle`, `generating` or `failed`."""
    model: str = ""
    directory: str = ""
    device: str = ""
    """The one it is on; while it is loading, the one that was asked for."""
    dtype: str = ""
    asked_device: str = ""
    """What it was started with: `auto`, it may be."""
    asked_dtype: str = ""
    clients: int = 0
    waiting: int = 0
    """Of the clients, those whose generation waits for another one's."""
    generations: int = 0
    """Begun so far."""
    uptime_s: float = 0.0
    keep_alive_s: float = 0.0
    """Without a client, it ends after so long; infinite: it does not."""
    idle_s: float = 0.0
    """How long it has been without a client."""
    memory: int = 0
    """Bytes resident; 0 when unknown."""


CLIENT_MESSAGES = msgspec.msgpack.Decoder(Hello | AskStatus)
WELCOME = msgspec.msgpack.Decoder(Welcome)
STATUS = msgspec.msgpack.Decoder(EngineStatus)


def send(connection: socket.socket, message: Hello | AskStatus | Welcome | EngineStatus) -> None:
    """Say a message.

    Raises:
        OSError: nobody hears it.
    """
    body = msgspec.msgpack.encode(message)
    connection.sendall(_length.pack(len(body)) + body)


def receive(connection: socket.socket, decoder: msgspec.msgpack.Decoder[T]) -> T:
    """Wait for a message, as long as the socket's timeout has it, and read no byte more.

    Raises:
        TimeoutError: none came.
        OSError: the other side is gone.
        ValueError: it said something else.
    """
    (length,) = _length.unpack(_receive_exactly(connection, _length.size))
    if length > _MAX_MESSAGE:
        raise ValueError(f"a greeting of {length} bytes")
    return decoder.decode(_receive_exactly(connection, length))


def _receive_exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionResetError("it hung up")
        data += more
    return data


class PeerCredentials(msgspec.Struct, frozen=True):
    """Who is at the other end of a socket, by the kernel's message."""

    pid: int
    uid: int


def peer_credentials(connection: socket.socket) -> PeerCredentials | None:
    """Query the kernel; None where it does not tell (all but Linux)."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    credentials = struct.Struct("3i")
    pid, uid, _ = credentials.unpack(
        connection.getsockopt(socket.SOL_SOCKET, option, credentials.size)
    )
    return PeerCredentials(pid, uid)


def is_ours(connection: socket.socket) -> bool:
    """Whether the other end belongs to this user. Unknown is yes: the folder is 0700."""
    peer = peer_credentials(connection)
    return peer is None or peer.uid == os.geteuid()


def resident_memory() -> int:
    """Bytes of this process in memory (Linux), else 0."""
    with contextlib.suppress(OSError, ValueError), open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
