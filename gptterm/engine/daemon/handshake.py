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

_LENGTH = struct.Struct(">I")
_LIMIT = 1 << 16
"""Bytes of a greeting; a longer one is none."""


class _Word(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    pass


class Hello(_Word, frozen=True, kw_only=True):
    """A client wants to attach. Answered by `Welcome`."""

    version: str
    """gptterm's."""
    stamp: str
    """See `identity.stamp_of`: an engine of another stamp retires, and this client goes on to
    start a new one."""
    keep_alive_s: float | None = None
    """How long the engine is to wait for another client, from now on; None: as it is."""


class AskStatus(_Word, frozen=True, kw_only=True):
    """Answered by `EngineStatus`."""


class Welcome(_Word, frozen=True, kw_only=True):
    """Whether the client may stay."""

    accepted: bool
    pid: int
    outdated: bool = False
    """Why not: it is of another stamp, and leaves its place to an engine of the client's."""
    version: str = ""
    keep_alive_s: float = 0.0
    """What the engine was told last: an engine that takes its place is told the same."""


class EngineStatus(_Word, frozen=True, kw_only=True):
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


FROM_CLIENTS = msgspec.msgpack.Decoder(Hello | AskStatus)
WELCOME = msgspec.msgpack.Decoder(Welcome)
STATUS = msgspec.msgpack.Decoder(EngineStatus)


def send(connection: socket.socket, word: Hello | AskStatus | Welcome | EngineStatus) -> None:
    """Say a word.

    Raises:
        OSError: nobody hears it.
    """
    body = msgspec.msgpack.encode(word)
    connection.sendall(_LENGTH.pack(len(body)) + body)


def receive(connection: socket.socket, words: msgspec.msgpack.Decoder[T]) -> T:
    """Wait for a word, as long as the socket's timeout has it, and read no byte more.

    Raises:
        TimeoutError: none came.
        OSError: the other side is gone.
        ValueError: it said something else.
    """
    (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
    if length > _LIMIT:
        raise ValueError(f"a greeting of {length} bytes")
    return words.decode(_exactly(connection, length))


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionResetError("it hung up")
        data += more
    return data


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end of a socket, by the kernel's word."""

    pid: int
    uid: int


def peer_of(connection: socket.socket) -> Peer | None:
    """Ask the kernel; None where it does not tell (all but Linux)."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    credentials = struct.Struct("3i")
    pid, uid, _ = credentials.unpack(
        connection.getsockopt(socket.SOL_SOCKET, option, credentials.size)
    )
    return Peer(pid, uid)


def is_ours(connection: socket.socket) -> bool:
    """Whether the other end belongs to this user. Unknown is yes: the folder is 0700."""
    peer = peer_of(connection)
    return peer is None or peer.uid == os.geteuid()


def resident_memory() -> int:
    """Bytes of this process in memory (Linux), else 0."""
    with contextlib.suppress(OSError, ValueError), open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
