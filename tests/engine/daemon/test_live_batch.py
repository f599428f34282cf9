"""Clients of a warm engine that generate at the same time, with a real model."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from gptterm.engine.api import (
    Event,
    Failed,
    Finished,
    GenerateRequest,
    LoadRequest,
    ModelSource,
    Prefilled,
    SamplingParams,
    Started,
    TextPrompt,
    Token,
    TokenPrompt,
)
from gptterm.engine.daemon import fingerprint, launcher
from gptterm.engine.daemon.server import DaemonSpec
from gptterm.engine.generation.engine import LocalEngine
from gptterm.engine.generation.loader import load_engine
from gptterm.engine.ipc import LOCAL_ENGINE
from gptterm.engine.ipc.client_channel import ClientChannel
from gptterm.engine.ipc.protocol import (
    Cancel,
    Command,
    EventFrame,
    Generate,
    NextTokenResult,
    QueryNextToken,
    Report,
    SetSampling,
    encode,
    report_reader,
)
from gptterm.engine.ipc.send_buffer import SendBuffer
from gptterm.engine.ipc.worker import Worker
from gptterm.engine.runtime.fingerprint import fingerprint_of
from tests.support.daemon import FOREVER, Client
from tests.support.gpt2 import write_gpt2
from tests.support.ipc_engines import end_of, text_of
from tests.support.waiting import gone, wait_until

POSITIONS = 4096
WORDS = "Once upon a time there was a king who had three daughters. "
ENDLESS = POSITIONS - 200
COMPARED = 400


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadRequest:
    directory = write_gpt2(tmp_path_factory.mktemp("batch") / "model", positions=POSITIONS)
    return LoadRequest(source=ModelSource(name="small", directory=str(directory)), device="cpu")


@pytest.fixture(scope="module")
def alone(model: LoadRequest) -> Iterator[LocalEngine]:
    """The model in this process, for what a request gets when nothing else runs."""
    engine = load_engine(model)
    yield engine
    engine.close()


def asked(number: int = 0, **changes: object) -> GenerateRequest:
    """A request that is its own: prompt, samplers, seed."""
    request = GenerateRequest(
        prompt=TextPrompt(text=WORDS[: 5 + 9 * number]),
        sampling=SamplingParams(temperature=0.7 + 0.1 * number, top_k=(40, 0)[number % 2]),
        seed=number,
        max_tokens=300,
        ignore_eos=True,
        logprobs=1,
    )
    return replace(request, **changes)


def tokens(events: list[Event]) -> list[Token]:
    return [event for event in events if isinstance(event, Token)]


def launched(model: LoadRequest, rows: int) -> None:
    """Start an engine of so many rows."""
    assert launcher.launch(
        DaemonSpec(
            name=fingerprint.daemon_name(model, LOCAL_ENGINE),
            fingerprint=fingerprint_of(model),
            factory=LOCAL_ENGINE,
            request=model,
            keep_alive_s=FOREVER,
            rows=rows,
        )
    )


def joined(model: LoadRequest, count: int) -> list[Client]:
    return [Client(model, factory=LOCAL_ENGINE) for _ in range(count)]


# ------------------------------------------------------------------ processes and sockets


def test_six_clients_decode_together_and_each_gets_its_own_text(
    folder: Path, model: LoadRequest, alone: LocalEngine
) -> None:
    del folder
    clients = joined(model, 6)
    *others, last = clients
    for number, client in enumerate(others):
        client.begin(asked(number, max_tokens=ENDLESS))
    wait_until(lambda: all(client.is_at(Token) for client in others))
    last.begin(asked(5, max_tokens=COMPARED))
    last.ended()
    assert not any(client.is_at(Finished) for client in others)
    wait_until(lambda: all(len(tokens(client.events)) >= COMPARED for client in others))
    for client in others:
        client.stop()
        client.ended()
    assert [client.told for client in clients] == [[]] * 6
    for number, client in enumerate(clients):
        events = list(alone.generate(asked(number, max_tokens=COMPARED)))
        # To the last bit of each logprob.
        assert tokens(client.events)[:COMPARED] == tokens(events)
    assert tokens(last.events) == tokens(events)
    assert text_of(last.events) == text_of(events)


def test_each_client_finds_the_cache_of_its_own_chat(folder: Path, model: LoadRequest) -> None:
    del folder
    clients = joined(model, 3)
    texts = [tuple(range(50 * number, 50 * number + 20 * (1 + number))) for number in range(3)]
    for turn in range(3):
        for client, ids in zip(clients, texts, strict=True):
            client.events.clear()
            client.begin(asked(prompt=TokenPrompt(ids=ids), max_tokens=40))
        for i, client in enumerate(clients):
            client.ended()
            started = client.events[0]
            assert isinstance(started, Started)
            # All but the last token of the reply, which was drawn and never fed, and the new one.
            assert started.reused_tokens == (len(texts[i]) - 2 if turn else 0)
            assert end_of(client.events).usage.reused_tokens == started.reused_tokens
            texts[i] += (*(token.id for token in tokens(client.events)), 5)


@pytest.mark.parametrize("how", ["cancel", "hang up"])
def test_a_client_that_breaks_off_makes_room(
    folder: Path, model: LoadRequest, alone: LocalEngine, how: str
) -> None:
    del folder
    launched(model, rows=2)
    a, b, c = joined(model, 3)
    for client in (a, b):
        client.begin(asked(max_tokens=ENDLESS))
        wait_until(lambda client=client: client.is_at(Token))  # type: ignore[misc]
    c.begin(asked(2, max_tokens=20))
    wait_until(lambda: c.told == [2])
    assert not c.events
    if how == "cancel":
        a.stop()
        a.ended()
    else:
        a.engine.connection.socket.shutdown(socket.SHUT_RDWR)
    c.ended()
    assert tokens(c.events) == tokens(list(alone.generate(asked(2, max_tokens=20))))
    assert not b.is_at(Finished)
    assert c.told == [2]
    b.stop()
    b.ended()


CLIENT = """
import sys
from gptterm.engine.api import GenerateRequest, LoadRequest, ModelSource, TextPrompt
from gptterm.engine.daemon.sync_client import open_engine

source = ModelSource(name="small", directory=sys.argv[1])
engine = open_engine(LoadRequest(source=source, device="cpu"), None)
request = GenerateRequest(prompt=TextPrompt(text="Once"), max_tokens=3000, ignore_eos=True)
for event in engine.generate(request):
    print(type(event).__name__, flush=True)
"""


def test_a_client_that_is_killed_makes_room(folder: Path, model: LoadRequest) -> None:
    del folder
    launched(model, rows=2)
    stays, waits = joined(model, 2)
    command = [sys.executable, "-c", CLIENT, model.source.directory]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as killed:
        assert killed.stdout is not None
        while killed.stdout.readline().strip() != "Token":
            assert killed.poll() is None
        # Later than the other process: even an endless text ends while that one starts.
        stays.begin(asked(max_tokens=ENDLESS))
        wait_until(lambda: stays.is_at(Token))
        waits.begin(asked(1, max_tokens=20))
        wait_until(lambda: waits.told == [2])
        killed.send_signal(signal.SIGKILL)
        waits.ended()
        assert end_of(waits.events).reason == "length"
        assert not stays.is_at(Finished)
    assert gone(killed.pid)
    stays.stop()
    stays.ended()


# ----------------------------------------------------------------- the engine's own thread


class Talk:
    """A client's end of a socket, whose reports are read when they are asked for."""

    def __init__(self, worker: Worker) -> None:
        self.socket, theirs = socket.socketpair()
        self.channel = ClientChannel(theirs)
        self._reader = report_reader()
        self.reports: list[Report] = []
        threading.Thread(target=worker.serve, args=(self.channel,), daemon=True).start()

    def send(self, command: Command) -> None:
        self.socket.sendall(encode(command))

    def read_until(self, done: Callable[[list[Report]], object]) -> None:
        while not done(self.reports):
            data = self.socket.recv(1 << 16)
            assert data
            self.reports += self._reader.feed(data)

    @property
    def events(self) -> list[Event]:
        return [report.event for report in self.reports if isinstance(report, EventFrame)]

    def ended(self) -> list[Event]:
        self.read_until(lambda _: self.events and isinstance(self.events[-1], Finished | Failed))
        return self.events

    def at_token(self, count: int) -> None:
        self.read_until(lambda _: len(tokens(self.events)) >= count)


@contextmanager
def working(model: LoadRequest, rows: int) -> Iterator[Worker]:
    """A worker with a model, in a thread of its own."""
    worker = Worker(LOCAL_ENGINE, os._exit, rows)
    worker.import_engine()
    worker.load_fixed(model)
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop("the test is over")
        thread.join(30)
        assert not thread.is_alive()
        for channel in worker.scheduler.channels:
            channel.hang_up()


def test_a_long_prompt_does_not_stall_those_who_decode(
    model: LoadRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted: list[tuple[SendBuffer, Report]] = []
    post = SendBuffer.post

    def recorded(buffer: SendBuffer, report: Report, *, at_once: bool = False) -> None:
        posted.append((buffer, report))
        post(buffer, report, at_once=at_once)

    monkeypatch.setattr(SendBuffer, "post", recorded)
    with working(model, rows=4) as worker:
        talks = [Talk(worker) for _ in range(3)]
        for number, talk in enumerate(talks[:2]):
            talk.send(Generate(id=1, request=asked(number, max_tokens=ENDLESS)))
            talk.at_token(3)
        long = asked(prompt=TextPrompt(text=WORDS * 100), max_tokens=1)
        talks[2].send(Generate(id=1, request=long))
        talks[2].ended()
        begun = next(event for event in talks[2].events if isinstance(event, Started))
        assert begun.prompt_tokens > 1000
        decoding: set[SendBuffer] = set()
        chunks = 0
        for buffer, report in posted:
            event = report.event if isinstance(report, EventFrame) else None
            if buffer is talks[2].channel.send_buffer and isinstance(event, Prefilled):
                chunks += 1
                # Since the last chunk both of the others have got a token.
                assert chunks == 1 or len(decoding) == 2
                decoding.clear()
            elif isinstance(event, Token):
                decoding.add(buffer)
        assert chunks >= begun.prompt_tokens // 64
        for talk in talks[:2]:
            talk.send(Cancel(id=1))
            assert end_of(talk.ended()).reason == "cancelled"


def test_a_reader_that_stands_still_gives_its_row_to_others(
    model: LoadRequest, alone: LocalEngine
) -> None:
    with working(model, rows=1) as worker:
        slow, other = Talk(worker), Talk(worker)
        for end in (slow.socket, slow.channel._connection):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 14)
        slow.send(Generate(id=1, request=asked(max_tokens=3000)))
        buffer = slow.channel.send_buffer
        wait_until(lambda: buffer.unsent >= 1 << 16)
        for number in range(1, 4):
            other.reports.clear()
            other.send(Generate(id=number, request=asked(number)))
            expected = list(alone.generate(asked(number)))
            assert tokens(other.ended()) == tokens(expected)
            # Nothing is made for it meanwhile.
            assert buffer.unsent < (1 << 16) + (1 << 12)
        assert worker.generations.busy
        expected = list(alone.generate(asked(max_tokens=3000)))
        assert tokens(slow.ended()) == tokens(expected)
        wait_until(lambda: not worker.generations.busy)


def test_questions_and_samplers_of_each(model: LoadRequest, alone: LocalEngine) -> None:
    favour = SamplingParams(temperature=0, logit_bias=((7, 1e6),))
    with working(model, rows=4) as worker:
        talks = [Talk(worker) for _ in range(3)]
        for talk in talks:
            talk.send(QueryNextToken(call=1, sampling=favour, limit=3))
            talk.read_until(lambda reports: any(isinstance(r, NextTokenResult) for r in reports))
        for number, talk in enumerate(talks):
            talk.send(Generate(id=2, request=asked(number, max_tokens=1000)))
        for talk in talks:
            talk.at_token(5)
            talk.send(QueryNextToken(call=3, sampling=favour, limit=3))
        talks[1].send(SetSampling(id=2, sampling=favour))
        for talk in talks:
            talk.ended()
        found = [[r for r in talk.reports if isinstance(r, NextTokenResult)] for talk in talks]
        for first, second in found:
            assert first.distribution is None
            assert second.distribution is not None
            assert second.distribution.kept == 1
        assert tokens(talks[1].events)[-1].id == 7
        for number in (0, 2):
            expected = list(alone.generate(asked(number, max_tokens=1000)))
            assert tokens(talks[number].events) == tokens(expected)
        # And after the end it is each one's own text that is asked about.
        for number, talk in enumerate(talks):
            talk.reports.clear()
            talk.send(QueryNextToken(call=4, sampling=SamplingParams(), limit=5))
            talk.read_until(lambda reports: any(isinstance(r, NextTokenResult) for r in reports))
            (result,) = [r for r in talk.reports if isinstance(r, NextTokenResult)]
            if number != 1:
                with contextlib.closing(alone.generate(asked(number, max_tokens=1000))) as events:
                    assert tokens(list(events))
                assert result.distribution == alone.next_token(SamplingParams(), 5)
