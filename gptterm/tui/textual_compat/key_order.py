"""Keys one after the other: each has acted before the next one is handled."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from time import monotonic
from typing import Any

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.message_pump import MessagePump

Input = events.Key | events.Paste
ACT_S = 0.1
"""The longest time that a key waits for what the one before it does."""


class KeyOrder:
    """Hands keys and pastes over one by one.

    Textual gives a key to the widget that has the focus just then, from where it goes up to the
    screen and the app, through the queue of each. The next key may be given to that widget before
    the first one has moved the focus or opened a dialog: F5, p typed a p into the prompt.

    Args:
        app: The app.
        handle: Gives an event to the focused widget.
    """

    def __init__(self, app: App[Any], handle: Callable[[Input], Awaitable[None]]) -> None:
        self._app, self._handle = app, handle
        self._waiting = deque[Input]()
        self._number = 0
        """Of the key that acts."""
        self._acts_until = 0.0

    async def take(self, event: Input) -> None:
        """Handle an event, now or once those before it have acted."""
        if self._waiting or monotonic() < self._acts_until:
            self._waiting.append(event)
            if len(self._waiting) == 1:
                self._wait_no_longer()
        else:
            await self._begin(event)

    def _wait_no_longer(self) -> None:
        """Have the next one handled in a while, whether or not the one before has acted."""
        left, end = self._acts_until - monotonic(), self._end_if(self._number)
        asyncio.get_running_loop().call_later(left, self._app.call_later, end)

    async def _begin(self, event: Input) -> None:
        target = self._app.focused or self._app.screen
        if isinstance(event, events.Key) and target.check_consume_key(event.key, event.character):
            # Typed text: it acts in that widget's own queue, where the next one comes behind it.
            await self._handle(event)
            return
        self._number += 1
        self._acts_until = monotonic() + ACT_S
        await self._handle(event)
        self._follow(self._number, target, target.ancestors_with_self)

    def _follow(
        self, number: int, target: DOMNode, pumps: Sequence[MessagePump], *, again: bool = True
    ) -> None:
        """Stand behind the key in each queue that it goes through.

        Then, if others wait, once more: its binding may have sent a message that goes the same way.
        """
        follow = partial(self._follow, number, target, again=again)
        for index, pump in enumerate(pumps):
            if pump.call_later(follow, pumps[index + 1 :]):
                return
        if again and self._waiting:
            self._follow(number, target, target.ancestors_with_self, again=False)
            return
        # A dialog that it has opened is ready behind this, and what was put off is done.
        self._app.screen.call_later(self._app.call_later, self._end_if(number))

    def _end_if(self, number: int) -> Callable[[], Awaitable[None]]:
        async def end() -> None:
            if number == self._number:
                self._acts_until = 0.0
                await self._begin_next()

        return end

    async def _begin_next(self) -> None:
        while self._waiting and monotonic() >= self._acts_until:
            await self._begin(self._waiting.popleft())
        if self._waiting:
            self._wait_no_longer()
