"""A reply: while it waits, and while it runs: what came, what of it is not drawn, how fast."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gptterm.config import Settings
from gptterm.conversation.tree import Conversation
from gptterm.engine.api import Event, Failed, Finished, Prefilled, Started, Token
from gptterm.tui.state.chat import Chat

if TYPE_CHECKING:
    from gptterm.store import ChatSaver


@dataclass(frozen=True)
class QueuedReply:
    """A reply that waits for its turn."""

    chat: Chat
    question: str | None = None
    """The user's turn to be answered; None: `message`, which becomes a turn then."""
    message: str = ""
    reply: str | None = None
    """The reply to be continued; None for a new one."""


class Reply:
    """Takes the engine's events as they come; the screen drains it once a frame.

    Args:
        chat: The one that it is written in.
        key: The node of the conversation that the text belongs to.
    """

    def __init__(self, chat: Chat, key: str) -> None:
        self.chat = chat
        self.key = key
        self.begun = time.perf_counter()
        self.started: Started | None = None
        self.prefilled: Prefilled | None = None
        self.finished: Finished | None = None
        self.failed: Failed | None = None
        self.cancelled = False
        self.ahead = 0
        """How many generations of other clients of a warm engine run before it."""
        self.tokens = 0
        """How many came so far."""
        self._fresh: list[str] = []
        self._first_at: float | None = None
        self._last_at = self.begun

    def apply(self, event: Event) -> None:
        """Remember what an event says."""
        match event:
            case Token():
                now = time.perf_counter()
                if self._first_at is None:
                    self._first_at = now
                self._last_at = now
                self.tokens += 1
                self._fresh.append(event.text)
            case Started():
                self.started = event
            case Prefilled():
                self.prefilled = event
            case Finished():
                self.finished = event
                self._fresh.append(event.text)
            case Failed():
                self.failed = event

    def drain(self) -> str:
        """The text that came since the last call."""
        fresh = "".join(self._fresh)
        self._fresh.clear()
        return fresh

    @property
    def first_token_s(self) -> float | None:
        """From the request to the first token."""
        if self.finished is not None and self.tokens:
            return self.finished.timings.first_token_s
        return None if self._first_at is None else self._first_at - self.begun

    @property
    def tokens_per_s(self) -> float | None:
        """The rate after the first token; None until there is one to speak of."""
        if self.finished is not None:
            return self.finished.timings.tokens_per_s or None
        if self._first_at is None or self.tokens < 3 or self._last_at <= self._first_at:
            return None
        return (self.tokens - 1) / (self._last_at - self._first_at)

    @property
    def context(self) -> tuple[int, int] | None:
        """Tokens of prompt and reply, and the limit."""
        if self.started is None:
            return None
        return self.started.prompt_tokens + self.tokens, self.started.context_length

    @property
    def activity(self) -> str:
        """What goes on before the first token."""
        if self.tokens or self.finished or self.failed:
            return ""
        if self.prefilled is not None and self.prefilled.done < self.prefilled.total:
            return f"reading the prompt {self.prefilled.done}/{self.prefilled.total}"
        if self.started is not None:
            return "reading the prompt"
        if self.ahead:
            replies = "reply" if self.ahead == 1 else "replies"
            return f"waiting: the engine has {self.ahead} other {replies} to write first"
        return "waiting"


@dataclass(frozen=True)
class GoOnPlain:
    """The chat is to go on without drawing."""

    settings: Settings
    """With what was changed in the TUI."""
    conversation: Conversation
    saver: "ChatSaver | None"
    """What kept it; the history that it wrote to is closed."""
