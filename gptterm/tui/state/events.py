"""What the screen is told of: small values, sent by what goes on behind it."""

from dataclasses import dataclass
from typing import Literal

from gptterm.tui.state.chat import Chat
from gptterm.tui.state.reply import Reply


@dataclass(frozen=True)
class EngineChanged:
    """The engine's phase, its activity or the model is another."""


@dataclass(frozen=True)
class ReplyStarted:
    """A generation was asked for; its turn is in the chat."""

    chat: Chat
    reply: Reply


@dataclass(frozen=True)
class ReplyEnded:
    """A generation is over and its turn complete."""

    chat: Chat
    reply: Reply


@dataclass(frozen=True)
class ChatChanged:
    """Turns of a chat were added, exchanged or waiting for the engine."""

    chat: Chat
    keep_scroll: bool = False
    """What is in view stays there; else the end comes into view."""


@dataclass(frozen=True)
class ChatOpened:
    """Another chat is in front."""

    left: Chat
    """The one before, whose draft is still in the prompt."""
    turn: str | None = None
    """To be shown; None: the end."""


@dataclass(frozen=True)
class ListChanged:
    """The list of chats is another."""


@dataclass(frozen=True)
class ModelMismatch:
    """The chat in front was written by another model than the one that is loaded."""

    name: str


@dataclass(frozen=True)
class Notified:
    """One line for the user."""

    kind: Literal["info", "good", "warning", "error"]
    text: str


ControllerEvent = (
    EngineChanged | ReplyStarted | ReplyEnded | ChatChanged | ChatOpened | ListChanged
    | ModelMismatch | Notified
)  # fmt: skip
