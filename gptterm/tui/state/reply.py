"""Replies: queued, and streaming from the engine."""

import time
from collections import deque
from dataclasses import dataclass

from gptterm.charts.measures import Measure
from gptterm.config import Settings
from gptterm.conversation.nodes import Generation
from gptterm.engine.api import (
    Event,
    Failed,
    Finished,
    ModelInfo,
    Prefilled,
    Reasoning,
    Started,
    Token,
)
from gptterm.terminal import one_line
from gptterm.tui.state.chat import Chat
from gptterm.tui.state.stream_tints import StreamTints
from gptterm.tui.state.tints import Tint

ENTROPIES = 16
"""Entropies that the pane of the next token draws: those of the last tokens."""
_SHOWN_REASONING = 60
"""Characters."""


@dataclass(frozen=True)
class QueuedReply:
    """A reply that waits for the engine."""

    chat: Chat
    question: str | None = None
    """The user's turn to answer; None: `message`, which becomes a turn when its time comes."""
    message: str = ""
    reply: str | None = None
    """The reply to continue; None for a new one."""
    seed: int | None = None
    """Seed of this reply alone, above the one that is set."""

    def begin(self, settings: Settings, info: ModelInfo) -> str:
        """Add the reply's node to the conversation, or reopen it to be continued.

        Returns:
            The node's key.
        """
        tree = self.chat.tree
        run = Generation.for_model(
            info,
            settings.sampling,
            seed=settings.seed,
            max_tokens=settings.max_tokens,
            stop=settings.stop,
            until=settings.until,
            raw=settings.form == "raw",
        )
        if self.reply is None:
            return tree.begin_reply(self.question or tree.add_user(self.message), run)
        tree.continue_reply(self.reply, run)
        return self.reply


class Reply:
    """Progress of a generation, updated by the engine's events and drained once a frame.

    Args:
        chat: The chat that it is written in.
        key: Node of the conversation that receives the text.
    """

    def __init__(self, chat: Chat, key: str) -> None:
        self.chat = chat
        self.key = key
        self.requested_at = time.perf_counter()
        self.started: Started | None = None
        self.prefilled: Prefilled | None = None
        self.finished: Finished | None = None
        self.failed: Failed | None = None
        self.cancelled = False
        self.ahead = 0
        """Generations of other clients of a warm engine that run first."""
        self.tokens = 0
        """Tokens received."""
        self.entropies: deque[float] = deque(maxlen=ENTROPIES)
        """Of the model's distribution in the place of each token, in bits, where it is told."""
        self._reasoning = ""
        """The end of what a remote model wrote before its answer."""
        self._undrawn: list[str] = []
        self._tints = StreamTints()
        self._begin = len(chat.tree.node(key).text)
        """Characters of what it continues."""
        self._first_at: float | None = None
        self._last_at = self.requested_at

    def apply(self, event: Event) -> None:
        """Update the progress by one event."""
        match event:
            case Token():
                now = time.perf_counter()
                if self._first_at is None:
                    self._first_at = now
                self._last_at = now
                self.tokens += 1
                self._undrawn.append(event.text)
                self._tints.add(event)
                if event.entropy_bits is not None:
                    self.entropies.append(event.entropy_bits)
            case Started():
                self.started = event
            case Reasoning():
                self._reasoning = (self._reasoning + event.text)[-_SHOWN_REASONING:]
            case Prefilled():
                self.prefilled = event
            case Finished():
                self.finished = event
                self._undrawn.append(event.text)
            case Failed():
                self.failed = event

    def drain(self) -> str:
        """Return the text received since the last call."""
        text = "".join(self._undrawn)
        self._undrawn.clear()
        return text

    def tints(self, text: str, measure: Measure | None) -> tuple[Tint, ...]:
        """Return the tints of a drained text; to be asked for each, in order."""
        return self._tints.cut(text, measure)

    def drained_tints(self, measure: Measure | None) -> tuple[Tint, ...]:
        """Return the tints of all of the node's text that was drained."""
        at = self._begin
        return tuple((at + a, at + b, step) for a, b, step in self._tints.tints(measure))

    @property
    def first_token_s(self) -> float | None:
        """Time from the request to the first token."""
        if self.finished is not None and self.tokens:
            return self.finished.timings.first_token_s
        return None if self._first_at is None else self._first_at - self.requested_at

    @property
    def tokens_per_s(self) -> float | None:
        """Decoding rate after the first token; None until three tokens were received."""
        if self.finished is not None:
            return self.finished.timings.tokens_per_s or None
        if self._first_at is None or self.tokens < 3 or self._last_at <= self._first_at:
            return None
        return (self.tokens - 1) / (self._last_at - self._first_at)

    @property
    def context(self) -> tuple[int, int] | None:
        """Tokens of prompt and reply, and the limit."""
        if self.started is None or not self.started.context_length:
            return None
        prompt = self.started.prompt_tokens
        if self.finished is not None:
            prompt = prompt or self.finished.usage.prompt_tokens  # a server tells it at the end
        return prompt + self.tokens, self.started.context_length

    @property
    def activity(self) -> str:
        """Activity of the engine before the first token; empty from then on."""
        if self.tokens or self.finished or self.failed:
            return ""
        if self.prefilled is not None and self.prefilled.done < self.prefilled.total:
            return f"reading the prompt {self.prefilled.done}/{self.prefilled.total}"
        if self._reasoning:
            return f"thinking: {one_line(self._reasoning)}"
        if self.started is not None:
            return "reading the prompt"
        if self.ahead:
            replies = "reply" if self.ahead == 1 else "replies"
            return f"waiting: the engine has {self.ahead} other {replies} to write first"
        return "waiting"
