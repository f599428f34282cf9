"""Round-robin queue of client commands."""

import threading
from collections import deque

from gptterm.engine.ipc.client_channel import ClientChannel
from gptterm.engine.ipc.protocol import (
    Close,
    Generate,
    Load,
    Query,
    Waiting,
)

Queued = Load | Generate | Query | Close


class Scheduler:
    """Queue of the commands of all clients. Thread-safe.

    The commands of a client keep their order; only queries overtake its running generation. Clients
    take turns, so that one that sends a hundred prompts delays another by one of them at most.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ring: dict[ClientChannel, deque[Queued]] = {}
        self._notified: dict[ClientChannel, Waiting] = {}
        self._generating: set[ClientChannel] = set()
        self._has_room = True
        self._woken = False
        self._stopped = False

    @property
    def channels(self) -> list[ClientChannel]:
        """The clients."""
        with self._changed:
            return list(self._ring)

    @property
    def waiting(self) -> int:
        """Number of clients with queued prompts."""
        with self._changed:
            return sum(_first_prompt(commands) is not None for commands in self._ring.values())

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def add_client(self, channel: ClientChannel) -> None:
        """Add a client."""
        with self._changed:
            self._ring[channel] = deque()

    def remove_client(self, channel: ClientChannel) -> None:
        """Remove a client and its commands."""
        with self._changed:
            self._ring.pop(channel, None)
            self._notified.pop(channel, None)
            self._notify_waiting()
            self._wake()

    def put(self, channel: ClientChannel, command: Queued) -> None:
        """Queue a command."""
        with self._changed:
            if channel in self._ring:
                self._ring[channel].append(command)
                self._notify_waiting()
                self._wake()

    def pop(self, timeout_s: float | None) -> tuple[ClientChannel, Queued] | None:
        """Remove and return the next command that can be executed now.

        Args:
            timeout_s: seconds to wait for one; None waits indefinitely.

        Returns:
            None after the timeout, `wake` or `stop`.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._woken or self._stopped or self._next_client(), timeout_s
            )
            self._woken = False
            channel = self._next_client()
            if channel is None or self._stopped:
                return None
            commands = self._ring.pop(channel)
            self._ring[channel] = commands
            command = commands.popleft()
            if isinstance(command, Generate):
                self._generating.add(channel)
                self._notified.pop(channel, None)
            return channel, command

    def pop_queries(self) -> list[tuple[ClientChannel, Query]]:
        """Remove and return queries from behind prompts that have to wait."""
        found: list[tuple[ClientChannel, Query]] = []
        with self._changed:
            for channel, commands in self._ring.items():
                for command in list(commands):
                    if isinstance(command, Load | Close):
                        break
                    if isinstance(command, Query):
                        commands.remove(command)
                        found.append((channel, command))
        return found

    def withdraw(self, channel: ClientChannel, up_to: int) -> list[Generate]:
        """Remove and return a client's queued prompts with ids up to `up_to`."""
        with self._changed:
            commands = self._ring.get(channel, deque())
            found = [c for c in commands if isinstance(c, Generate) and c.id <= up_to]
            for command in found:
                commands.remove(command)
            self._notify_waiting()
        return found

    def end_generation(self, channel: ClientChannel, *, has_room: bool) -> None:
        """Note the end of a client's generation. For `has_room` see `set_room`."""
        with self._changed:
            self._generating.discard(channel)
            self._has_room = has_room
            self._notify_waiting()

    def set_room(self, has_room: bool) -> None:
        """Set whether another generation can begin; if not, clients are told that they wait."""
        with self._changed:
            if has_room != self._has_room:
                self._has_room = has_room
                self._notify_waiting()

    def others_wait(self, channel: ClientChannel) -> bool:
        """Whether another client has queued prompts."""
        with self._changed:
            return any(
                other is not channel and _first_prompt(commands) is not None
                for other, commands in self._ring.items()
            )

    def wake(self) -> None:
        """Make `pop` return."""
        with self._changed:
            self._wake()

    def stop(self) -> None:
        """Make `pop` return None from now on."""
        with self._changed:
            self._stopped = True
            self._wake()

    def _wake(self) -> None:
        self._woken = True
        self._changed.notify_all()

    def _next_client(self) -> ClientChannel | None:
        """The next client whose first command can be executed now."""
        for channel, commands in self._ring.items():
            match commands[0] if commands else None:
                case None:
                    pass
                case command if isinstance(command, Query):
                    return channel
                case _ if channel in self._generating:
                    pass
                case Load() | Close() if self._generating:
                    pass
                case Generate() if not self._has_room:
                    pass
                case _:
                    return channel
        return None

    def _notify_waiting(self) -> None:
        """Tell clients whose prompts have to wait how many are before them, if that has changed."""
        if self._has_room:
            return
        ahead = len(self._generating)
        for channel, commands in self._ring.items():
            prompt = _first_prompt(commands)
            if prompt is None:
                continue
            notice = Waiting(id=prompt.id, ahead=ahead - (channel in self._generating))
            if notice.ahead and self._notified.get(channel) != notice:
                self._notified[channel] = notice
                channel.send_buffer.post(notice, at_once=True)
            ahead += 1


def _first_prompt(commands: deque[Queued]) -> Generate | None:
    return next((command for command in commands if isinstance(command, Generate)), None)
