"""Paint the stream: one timer, one drain and one repaint per frame."""

import time
from collections import deque
from collections.abc import Callable

from textual.timer import Timer

from gptterm.format import short_name
from gptterm.tui.garbage import Garbage
from gptterm.tui.state.chat_tokens import TokenLook
from gptterm.tui.state.controller import Controller
from gptterm.tui.state.reply import ENTROPIES, Reply
from gptterm.tui.state.reply_numbers import reply_numbers
from gptterm.tui.widgets.distribution import Distribution
from gptterm.tui.widgets.status import Status, StatusLine
from gptterm.tui.widgets.transcript.transcript import Transcript
from gptterm.tui.workers import start_worker

FRAMES_PER_S = 20
"""20 fps: each repaint steals about 2 ms from a CPU-bound engine, and nobody reads faster."""
RATES = 8
"""Rates that the status line draws."""
NUMBERS_EVERY = 6
"""Frames between two updates of the numbers: flickering digits cannot be read."""


class StreamPainter:
    """Draws the running generation of the open chat.

    Args:
        controller: Owns the generation.
        status: Shows the numbers.
        transcript: Shows the text.
        distribution: Shows the next token's distribution.
    """

    def __init__(
        self,
        controller: Controller,
        status: StatusLine,
        transcript: Transcript,
        distribution: Distribution,
    ) -> None:
        self._controller = controller
        self._status = status
        self._transcript = transcript
        self._distribution = distribution
        distribution.on_capacity_changed = self.refresh_distribution
        self._timer: Timer | None = None
        self._frame = 0
        self._rates: deque[float] = deque(maxlen=RATES)
        self._entropies: deque[float] = deque(maxlen=ENTROPIES)
        self._counted = (0, 0.0)
        """Tokens at the last count, and its time."""
        self._garbage = Garbage()
        self._requesting = False
        self._stale = False
        self.title = ""
        """Of the open chat."""
        self.unread_warnings = 0
        self.on_numbers: Callable[[], None] | None = None
        """Called with each update of the numbers."""

    def start(self) -> None:
        """Start painting."""
        self._garbage.begin()
        self._frame = 0
        self._rates.clear()
        self._entropies.clear()
        self._counted = (0, time.perf_counter())
        if self._timer is None:
            self._timer = self._transcript.set_interval(1 / FRAMES_PER_S, self._tick)
        self._timer.resume()
        self.show_status()

    def stop(self) -> None:
        """Draw the rest and stop painting."""
        self._garbage.end()
        if self._timer is not None:
            self._timer.pause()
        self.draw()
        self.show_numbers()

    def _tick(self) -> None:
        self._frame += 1
        self.draw()
        if self._frame % NUMBERS_EVERY == 1:
            self._count_rate()
            self.show_numbers()

    def _count_rate(self) -> None:
        """Note the tokens per second since the last count."""
        if (reply := self._controller.reply) is not None:
            (tokens, at), now = self._counted, time.perf_counter()
            self._counted = (reply.tokens, now)
            if reply.tokens and now > at:
                self._rates.append((reply.tokens - tokens) / (now - at))

    def draw(self) -> None:
        """Append the text received since the last frame."""
        controller, reply = self._controller, self._controller.reply
        if reply is None or controller.replying is not controller.chat:
            return
        turn = next((t for t in reversed(self._transcript.turns) if t.key == reply.key), None)
        if turn is None:
            return
        fresh = reply.drain()
        tints = reply.tints(fresh, controller.tokens.measure)
        if turn.footer != reply.activity:
            turn.footer = reply.activity
            self._transcript.refresh_turn(turn)
        if fresh:
            self._transcript.append(turn, fresh, tints)

    # ------------------------------------------------------------------------------ numbers

    def show_numbers(self) -> None:
        """Update the status line, the next token and what else shows numbers."""
        self.show_status()
        self.refresh_distribution()
        if self.on_numbers is not None:
            self.on_numbers()

    def show_status(self) -> None:
        """Update the status line."""
        controller = self._controller
        engine, info = controller.engine, controller.engine.info
        numbers = reply_numbers(controller)
        device = ""
        if info is not None and engine.ready:
            warm = ("warm",) if info.warm_pid is not None else ()
            adapted = ("LoRA",) if info.adapters else ()
            device = " · ".join(filter(None, (info.device, info.dtype, *adapted, *warm)))
        self._status.status = Status(
            model=short_name(
                info.name if info is not None and engine.ready else controller.settings.model
            ),
            device=device,
            title=self.title,
            activity=self._activity(controller.reply),
            tokens_per_s=numbers.tokens_per_s,
            rates=tuple(self._rates) if controller.replying is controller.chat else (),
            first_token_s=numbers.first_token_s,
            context=numbers.context,
            cache_bytes=0 if info is None or not engine.ready else info.cache_bytes_per_token,
            seed=numbers.seed,
            saved=controller.chat_list.saves,
            warnings=self.unread_warnings,
        )

    def _activity(self, reply: Reply | None) -> str:
        controller = self._controller
        if controller.engine.activity:
            return controller.engine.activity
        if controller.engine.phase == "failed":
            return "no model"
        if controller.replying is not None and reply is not None:
            return reply.activity
        return ""

    # ------------------------------------------------------------------------- distribution

    def refresh_distribution(self) -> None:
        """Request the next-token distribution; during a request, note that another is needed."""
        if not self._distribution.display or not self._distribution.is_on_screen:
            return
        if self._requesting:
            self._stale = True
            return
        self._requesting = True
        start_worker(self._distribution, self._request, exit_on_error=False)

    async def _request(self) -> None:
        try:
            self._stale = True
            while self._stale:
                self._stale = False
                self._distribution.show(await self._shown(self._distribution.capacity))
        finally:
            self._requesting = False

    async def _shown(self, limit: int) -> TokenLook:
        """The distribution in the walked token's place, else at the end of the text."""
        controller = self._controller
        if (look := await controller.tokens.look(limit)) is not None:
            return look
        found = await controller.next_token(limit)
        reply = controller.reply
        if found is not None and controller.replying is controller.chat:
            self._entropies.append(found.entropy_bits)
        # With log probabilities each token tells its own; else those that were asked for.
        told = reply.entropies if reply is not None and reply.chat is controller.chat else ()
        lacking = controller.engine.no_distribution
        reason = f"no probabilities: {lacking}" if lacking else ""
        return TokenLook(found, reason, entropies=tuple(told or self._entropies))
