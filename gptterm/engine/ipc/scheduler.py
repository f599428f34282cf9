"""Whose turn it is: every client's commands in their order, the clients one after the other."""

import threading
from collections import deque

from gptterm.engine.ipc.client_channel import ClientChannel
from gptterm.engine.ipc.protocol import (
    Close,
    Generate,
    Load,
    Query,
    QueryNextToken,
    QueryTokens,
    Waiting,
)

Queued = Load | Generate | Query | Close


class Scheduler:
    """Commands that wait for the engine. Thread-safe.

    A client whose command was taken goes to the end of the ring, so that one that sends a
    hundred prompts holds up another by one of them at most.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ring: dict[ClientChannel, deque[Queued]] = {}
        self._notified: dict[ClientChannel, Waiting] = {}
        self._generating: ClientChannel | None = None
        self._stopped = False

    @property
    def channels(self) -> list[ClientChannel]:
        """The clients."""
        with self._changed:
            return list(self._ring)

    @property
    def waiting(self) -> int:
        """How many clients wait for a generation to begin."""
        with self._changed:
            return sum(map(_wants_to_generate, self._ring.values()))

    def add_client(self, channel: ClientChannel) -> None:
        """A client has come."""
        with self._changed:
            self._ring[channel] = deque()

    def remove_client(self, channel: ClientChannel) -> None:
        """A client has gone, and nobody waits for what it still wanted."""
        with self._changed:
            self._ring.pop(channel, None)
            self._notified.pop(channel, None)
            self._notify_waiting()

    def put(self, channel: ClientChannel, command: Queued) -> None:
        """Queue a command; one that has to wait is told."""
        with self._changed:
            if channel in self._ring:
                self._ring[channel].append(command)
                self._notify_waiting()
                self._changed.notify()

    def next_command(self) -> tuple[ClientChannel, Queued] | None:
        """Wait for the next command; None once all is to end."""
        with self._changed:
            self._generating = None
            while not self._stopped:
                for channel, commands in self._ring.items():
                    if commands:
                        return channel, self._pop(channel)
                self._changed.wait()
            return None

    def _pop(self, channel: ClientChannel) -> Queued:
        commands = self._ring.pop(channel)
        command = commands.popleft()
        self._ring[channel] = commands
        if isinstance(command, Generate):
            self._generating = channel
            self._notified.pop(channel, None)
        self._notify_waiting()
        return command

    def pop_queries(self) -> list[tuple[ClientChannel, Query]]:
        """What can be answered during a generation, whatever else waits before it."""
        found: list[tuple[ClientChannel, Query]] = []
        with self._changed:
            for channel, commands in self._ring.items():
                for command in list(commands):
                    if isinstance(command, QueryNextToken | QueryTokens):
                        commands.remove(command)
                        found.append((channel, command))
        return found

    def withdraw(self, channel: ClientChannel, up_to: int) -> list[Generate]:
        """Take out the generations of a client that have not begun, with ids up to this one."""
        with self._changed:
            commands = self._ring.get(channel, deque())
            found = [c for c in commands if isinstance(c, Generate) and c.id <= up_to]
            for command in found:
                commands.remove(command)
            self._notify_waiting()
        return found

    def others_wait(self, channel: ClientChannel) -> bool:
        """Whether another client wants to generate."""
        with self._changed:
            return any(
                _wants_to_generate(commands)
                for other, commands in self._ring.items()
                if other is not channel
            )

    def stop(self) -> None:
        """Have `next_command` return None, now and always."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _notify_waiting(self) -> None:
        """Tell each client that waits how many go before it, when that has changed."""
        ahead = 0 if self._generating is None else 1
        for channel, commands in self._ring.items():
            wanted = next((c for c in commands if isinstance(c, Generate)), None)
            if wanted is None:
                continue
            word = Waiting(id=wanted.id, ahead=ahead - (channel is self._generating))
            if word.ahead and self._notified.get(channel) != word:
                self._notified[channel] = word
                channel.send_buffer.post(word, at_once=True)
            ahead += 1


def _wants_to_generate(commands: deque[Queued]) -> bool:
    return any(isinstance(command, Generate) for command in commands)
