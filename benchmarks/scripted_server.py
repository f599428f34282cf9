"""Scripted server of vLLM's dialect, in a process of its own: no model, only the time one takes.

It stands in for a cluster: some workers, each of which decodes so many sequences at once at a set
time a token; a request waits while all are taken. Small enough to answer a thousand requests a
second beside the client that is measured.
"""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

MODEL = "scripted"
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nTransfer-Encoding: chunked\r\n\r\n"


class Load(NamedTuple):
    """Requests that a server has answered, and how many at once."""

    requests: int
    mean_in_flight: float
    """Requests in flight, on average from the first one's arrival to the last one's end."""
    wall_s: float
    """From the first one's arrival to the last one's end."""


class _Server:
    """Answers requests, up to `slots` at once, each after `reply_s`."""

    def __init__(self, slots: int, reply_s: float, tokens: int) -> None:
        self.slots = slots
        self.reply_s = reply_s
        self.body = _HEAD % b"text/event-stream" + _chunked(_events(tokens))
        models = {"object": "list", "data": [{"id": MODEL, "owned_by": "vllm"}]}
        self.models = _HEAD % b"application/json" + _chunked(json.dumps(models).encode())
        self.waiting: deque[_Connection] = deque()
        self.busy = 0
        self.requests = self.in_flight = 0
        self.begun = self.changed = 0.0
        self.weighted = 0.0
        """Integral of the requests in flight over time."""

    def count(self, change: int) -> None:
        now = time.perf_counter()
        self.begun = self.begun or now
        self.weighted += self.in_flight * (now - (self.changed or now))
        self.changed = now
        self.in_flight += change

    def admit(self) -> None:
        while self.waiting and self.busy < self.slots:
            self.busy += 1
            connection = self.waiting.popleft()
            asyncio.get_running_loop().call_later(self.reply_s, self.end, connection)

    def end(self, connection: "_Connection") -> None:
        self.busy -= 1
        self.count(-1)
        connection.send(self.body)
        self.admit()

    def load(self) -> Load:
        wall_s = self.changed - self.begun
        return Load(self.requests, self.weighted / wall_s if wall_s else 0.0, wall_s)


class _Connection(asyncio.Protocol):
    """One kept connection; requests come one after the other."""

    def __init__(self, server: _Server) -> None:
        self._server = server
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        self._data = b""
        server = self._server
        if head.startswith(b"GET"):
            self.send(server.models)
            return
        server.requests += 1
        server.count(1)
        server.waiting.append(self)
        server.admit()

    def send(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def _events(tokens: int) -> bytes:
    """The stream of a reply of some words, as a completion and as a chat at once."""

    def event(data: object) -> bytes:
        return b"data: %b\n\n" % json.dumps(data).encode()

    words = b"".join(
        event({"choices": [{"index": 0, "text": " word", "delta": {"content": " word"}}]})
        for _ in range(tokens)
    )
    end = {"choices": [{"index": 0, "text": "", "delta": {}, "finish_reason": "stop"}]}
    counts = {"choices": [], "usage": {"prompt_tokens": 8, "completion_tokens": tokens}}
    return words + event(end) + event(counts) + b"data: [DONE]\n\n"


class Running:
    """A server's process."""

    def __init__(self, process: "subprocess.Popen[str]", url: str) -> None:
        self._process = process
        self.url = url

    def load(self) -> Load:
        """End the server; return what it has seen."""
        output, _ = self._process.communicate()
        return Load(*json.loads(output))


@contextlib.contextmanager
def scripted_server(slots: int, reply_s: float, tokens: int) -> Iterator[Running]:
    """Start a server, and end it.

    Args:
        slots: requests that are answered at once.
        reply_s: seconds a reply takes.
        tokens: of a reply.
    """
    command = [sys.executable, "-m", __name__, str(slots), str(reply_s), str(tokens)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Running(process, process.stdout.readline().strip())
        finally:
            process.kill()


async def _main(slots: int, reply_s: float, tokens: int) -> None:
    loop = asyncio.get_running_loop()
    state = _Server(slots, reply_s, tokens)
    server = await loop.create_server(lambda: _Connection(state), "127.0.0.1", 0, backlog=1024)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    print(json.dumps(state.load()))


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])))
