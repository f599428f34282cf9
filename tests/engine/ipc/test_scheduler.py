"""Whose command is next, who has to wait, and who is told."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from gptterm.engine.api import SamplingParams
from gptterm.engine.ipc.client_channel import ClientChannel
from gptterm.engine.ipc.protocol import (
    Close,
    Generate,
    Load,
    QueryNextToken,
    QueryTokens,
    Report,
    Waiting,
    report_reader,
)
from gptterm.engine.ipc.scheduler import Scheduler
from tests.support.ipc_engines import request
from tests.support.scripted import Script, write_script
from tests.support.waiting import wait_until


class Client:
    """A channel, and the other end of its socket."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        self.channel = ClientChannel(theirs)
        self._reader = report_reader()
        self._reports: list[Report] = []

    def told(self) -> list[int]:
        """How many were before it, as it was told."""
        self.channel.send_buffer.flush(10)
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self._reports += self._reader.feed(self.socket.recv(1 << 16))
        return [report.ahead for report in self._reports if isinstance(report, Waiting)]

    def close(self) -> None:
        self.channel.close()
        self.socket.close()


@pytest.fixture
def clients() -> Iterator[list[Client]]:
    made = [Client() for _ in range(3)]
    yield made
    for client in made:
        client.close()


@pytest.fixture
def scheduler(clients: list[Client]) -> Scheduler:
    made = Scheduler()
    for client in clients:
        made.add_client(client.channel)
    return made


def prompt(id_: int = 1) -> Generate:
    return Generate(id=id_, request=request())


def tokens(call: int = 1) -> QueryTokens:
    return QueryTokens(call=call, text="a")


def popped(scheduler: Scheduler) -> object:
    found = scheduler.pop(0)
    return None if found is None else found[1]


def test_a_client_that_sends_many_prompts_gets_one_a_round(
    scheduler: Scheduler, clients: list[Client]
) -> None:
    a, b, c = (client.channel for client in clients)
    for number, channel in enumerate((a, a, a, b, c, b)):
        scheduler.put(channel, prompt(number))
    order = []
    for _ in range(6):
        found = scheduler.pop(0)
        assert found is not None
        order.append(found[0])
        scheduler.set_room(False)
        assert scheduler.pop(0) is None
        scheduler.end_generation(found[0], has_room=True)
    assert order == [a, b, c, a, b, a]


def test_all_begin_while_there_is_room_but_each_client_one_at_a_time(
    scheduler: Scheduler, clients: list[Client]
) -> None:
    a, b, _ = (client.channel for client in clients)
    for channel in (a, a, b):
        scheduler.put(channel, prompt(len(scheduler.channels)))
    assert {scheduler.pop(0)[0], scheduler.pop(0)[0]} == {a, b}  # type: ignore[index]
    assert scheduler.pop(0) is None
    assert scheduler.waiting == 1
    scheduler.end_generation(b, has_room=True)
    assert scheduler.pop(0) is None
    scheduler.end_generation(a, has_room=True)
    assert scheduler.pop(0) is not None
    assert [client.told() for client in clients] == [[]] * 3


def test_who_has_to_wait_is_told_how_many_are_before_it(
    scheduler: Scheduler, clients: list[Client]
) -> None:
    a, b, c = clients
    for client in clients:
        scheduler.put(client.channel, prompt())
    assert scheduler.pop(0) is not None
    assert [client.told() for client in clients] == [[]] * 3  # nobody knows yet
    scheduler.set_room(False)
    assert [client.told() for client in clients] == [[], [1], [2]]
    scheduler.set_room(False)
    scheduler.end_generation(a.channel, has_room=True)
    assert scheduler.pop(0) is not None
    scheduler.set_room(False)
    assert [client.told() for client in clients] == [[], [1], [2, 1]]
    assert scheduler.withdraw(c.channel, 1) == [prompt()]
    scheduler.put(c.channel, prompt(2))
    assert c.told() == [2, 1, 1]  # of another prompt
    scheduler.remove_client(b.channel)
    scheduler.end_generation(b.channel, has_room=True)
    assert popped(scheduler) == prompt(2)


def test_queries_need_not_wait_for_generations(scheduler: Scheduler, clients: list[Client]) -> None:
    a, b, _ = (client.channel for client in clients)
    look = QueryNextToken(call=2, sampling=SamplingParams(), limit=1)
    for command in (prompt(1), tokens(1), prompt(2), look):
        scheduler.put(a, command)
    assert popped(scheduler) == prompt(1)
    scheduler.set_room(False)
    assert popped(scheduler) == tokens(1)
    scheduler.put(b, prompt())
    scheduler.put(b, tokens(3))
    assert scheduler.pop(0) is None
    assert scheduler.pop_queries() == [(b, tokens(3)), (a, look)]
    assert scheduler.pop_queries() == []


@pytest.mark.parametrize("last", ["load", "close"])
def test_a_load_and_a_close_wait_for_all_generations(
    scheduler: Scheduler, clients: list[Client], last: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    a, b, _ = (client.channel for client in clients)
    load = Load(request=write_script(tmp_path_factory.mktemp("script"), Script()))
    command = load if last == "load" else Close()
    scheduler.put(a, prompt())
    scheduler.put(b, prompt())
    assert scheduler.pop(0) is not None
    assert scheduler.pop(0) is not None
    for later in (command, tokens()):
        scheduler.put(a, later)
    scheduler.end_generation(a, has_room=True)
    assert scheduler.pop(0) is None
    assert scheduler.pop_queries() == []  # it is for the model that is loaded next
    scheduler.end_generation(b, has_room=True)
    assert [popped(scheduler), popped(scheduler)] == [command, tokens()]


def test_nothing_is_popped_for_a_client_that_has_gone(
    scheduler: Scheduler, clients: list[Client]
) -> None:
    gone = clients[0].channel
    scheduler.put(gone, prompt())
    scheduler.remove_client(gone)
    scheduler.put(gone, prompt(2))
    assert scheduler.pop(0) is None
    assert gone not in scheduler.channels


def test_pop_waits_until_something_happens(scheduler: Scheduler, clients: list[Client]) -> None:
    found: list[object] = []

    def pop() -> None:
        while not scheduler.stopped:
            found.append(scheduler.pop(None))

    thread = threading.Thread(target=pop, daemon=True)
    thread.start()
    scheduler.wake()
    wait_until(lambda: found == [None])
    scheduler.put(clients[0].channel, tokens())
    wait_until(lambda: (clients[0].channel, tokens()) in found)
    scheduler.stop()
    thread.join(30)
    assert not thread.is_alive()
    assert scheduler.pop(None) is None
