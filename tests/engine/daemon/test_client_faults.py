"""Warm engines and clients that die, stand still, talk nonsense or want too much."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from gptterm.engine.api import Event, Failed, Finished
from gptterm.engine.daemon import handshake, launcher, registry
from gptterm.engine.ipc import generations
from gptterm.engine.ipc.client_channel import ClientChannel
from gptterm.engine.ipc.protocol import Generate, encode, report_reader
from gptterm.engine.ipc.worker import Worker
from tests.support.daemon import Client, opened, the_pid
from tests.support.ipc_engines import failure_of, request, text_of
from tests.support.scripted import FACTORY, Script, write_script
from tests.support.waiting import wait_until

CLIENT = """
import sys
from pathlib import Path
from gptterm.engine.api import LoadRequest, ModelSource
from gptterm.engine.daemon.sync_client import open_engine
from tests.support.ipc_engines import request
from tests.support.scripted import FACTORY

source = ModelSource(name="scripted", directory=sys.argv[1])
engine = open_engine(LoadRequest(source=source), None, factory=FACTORY)
for event in engine.generate(request(max_tokens=10**6)):
    print(type(event).__name__, flush=True)
"""


def client_process(directory: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_client_that_dies_or_stands_still_leaves_the_others_alone(
    folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    del folder
    # Who stands still has a reply that comes to its end: the engine makes it, and goes on.
    script = Script.saying([" again"] * 500, rate=1000, endless=number == signal.SIGKILL)
    asked = write_script(tmp_path, script)
    other = Client(asked)
    with client_process(tmp_path) as process:
        assert process.stdout is not None
        while process.stdout.readline().strip() != "Token":
            assert process.poll() is None
        process.send_signal(number)
        other.begin(request(max_tokens=3))
        assert text_of(other.ended()) == " again" * 3
        process.kill()
    assert the_pid() == other.engine.connection.pid


def test_nonsense_ends_the_connection_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    asked = write_script(tmp_path, Script.saying("fine again"))
    engine = opened(asked)
    path = str(registry.socket_path(folder, registry.names(folder)[0]))
    hello = b"\x00\x00\x00\x01\xc0"
    for data in (b"GET / HTTP/1.1\r\n\r\n", hello, b"\xff" * 8, b""):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):  # not all of it was read
                assert connection.recv(1) == b""
    # After a greeting, too.
    attached = launcher.attach(asked, None, factory=FACTORY)
    assert attached is not None
    with attached.socket as connection:
        connection.sendall(b"\x00\x00\x00\x01\xff")
        while connection.recv(1 << 16):
            pass
    assert text_of(list(engine.generate(request()))) == "fine again"


def test_who_does_not_read_keeps_the_engine_from_others_for_a_while_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(generations, "_SLOW_READER_S", 0.1)
    script = Script.saying([b"x" * 500], endless=True)
    asked = write_script(tmp_path, script)
    worker = Worker(FACTORY, os._exit)
    worker.import_engine()
    worker.load_fixed(asked)
    threading.Thread(target=worker.run, daemon=True).start()
    ends = []
    for _ in range(2):
        ours, theirs = socket.socketpair()
        threading.Thread(target=worker.serve, args=(ClientChannel(theirs),), daemon=True).start()
        ends.append(ours)
    slow, other = ends
    slow.sendall(encode(Generate(id=1, request=request(max_tokens=10**6))))
    wait_until(lambda: worker.scheduler.channels and max(_unsent(worker)) >= 1 << 16)
    assert worker.generations.busy
    other.sendall(encode(Generate(id=1, request=request(max_tokens=1))))
    assert isinstance(_events(other)[-1], Finished)
    assert "was not read while other clients were waiting" in failure_of(_events(slow)).message
    worker.stop("the test is over")
    for end in ends:
        end.close()


def _unsent(worker: Worker) -> list[int]:
    return [channel.send_buffer.unsent for channel in worker.scheduler.channels]


def _events(connection: socket.socket) -> list[Event]:
    """Events until the generation ends."""
    reader, events = report_reader(), list[Event]()
    while not events or not isinstance(events[-1], Finished | Failed):
        data = connection.recv(1 << 16)
        assert data
        for report in reader.feed(data):
            event = getattr(report, "event", None)
            if event is not None:
                events.append(event)
    return events


def test_greetings_may_gain_fields_and_lose_none() -> None:
    ours, theirs = socket.socketpair()
    body = msgspec.msgpack.encode(
        {"type": "Hello", "version": "9", "stamp": "s", "something": ["new"]}
    )
    ours.sendall(len(body).to_bytes(4, "big") + body)
    word = handshake.receive(theirs, handshake.CLIENT_MESSAGES)
    assert isinstance(word, handshake.Hello)
    assert (word.version, word.keep_alive_s) == ("9", None)
    theirs.settimeout(0.01)
    with pytest.raises(TimeoutError):
        handshake.receive(theirs, handshake.CLIENT_MESSAGES)
    ours.close()
    theirs.close()
