"""Events that the controller emits for the screen."""

from dataclasses import dataclass
from typing import Literal

from gptterm.tui.state.chat import Chat
from gptterm.tui.state.reply import Reply

NoticeKind = Literal["info", "good", "warning", "error"]


@dataclass(frozen=True)
class EngineChanged:
    """The engine's phase, its activity or its model changed."""


@dataclass(frozen=True)
class ReplyStarted:
    """A generation was requested; the reply is a turn of the chat."""

    chat: Chat
    reply: Reply


@dataclass(frozen=True)
class ReplyEnded:
    """A generation ended, and the reply is complete."""

    chat: Chat
    reply: Reply


@dataclass(frozen=True)
class ChatChanged:
    """Turns of a chat were added, replaced or queued."""

    chat: Chat
    keep_scroll: bool = False
    """Keep the scroll position; else scroll to the end."""


@dataclass(frozen=True)
class ChatOpened:
    """Another chat was opened."""

    left: Chat
    """The chat open before, whose draft is still in the prompt."""
    turn: str | None = None
    """Turn to show; None: the end."""


@dataclass(frozen=True)
class ListChanged:
    """The list of chats changed."""


@dataclass(frozen=True)
class DownloadChanged:
    """The models on offer, or the progress of their downloads, changed."""


@dataclass(frozen=True)
class ModelMismatch:
    """The open chat was written by another model than the one that is loaded."""

    name: str


@dataclass(frozen=True)
class Notified:
    """A one-line notice for the user."""

    kind: NoticeKind
    text: str


ControllerEvent = (
    EngineChanged | ReplyStarted | ReplyEnded | ChatChanged | ChatOpened | ListChanged
    | DownloadChanged | ModelMismatch | Notified
)  # fmt: skip
