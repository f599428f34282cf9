"""Events that the controller emits for the screen."""

from typing import Literal

import msgspec

from gptterm.tui.state.chat import Chat
from gptterm.tui.state.reply import Reply

NoticeKind = Literal["info", "good", "warning", "error"]


class EngineChanged(msgspec.Struct, frozen=True):
    """The engine's phase, its activity or its model changed."""


class ReplyStarted(msgspec.Struct, frozen=True):
    """A generation was requested; the reply is a turn of the chat."""

    chat: Chat
    reply: Reply


class ReplyEnded(msgspec.Struct, frozen=True):
    """A generation ended, and the reply is complete."""

    chat: Chat
    reply: Reply


class ChatChanged(msgspec.Struct, frozen=True):
    """Turns of a chat were added, replaced or queued."""

    chat: Chat
    keep_scroll: bool = False
    """Keep the scroll position; else scroll to the end."""


class ChatOpened(msgspec.Struct, frozen=True):
    """Another chat was opened."""

    left: Chat
    """The chat open before, whose draft is still in the prompt."""
    turn: str | None = None
    """Turn to show; None: the end."""


class ListChanged(msgspec.Struct, frozen=True):
    """The list of chats changed."""


class DownloadChanged(msgspec.Struct, frozen=True):
    """The models on offer, or the progress of their downloads, changed."""


class ModelMismatch(msgspec.Struct, frozen=True):
    """The open chat was written by another model than the one that is loaded."""

    name: str


class Notified(msgspec.Struct, frozen=True):
    """A one-line notice for the user."""

    kind: NoticeKind
    text: str


ControllerEvent = (
    EngineChanged | ReplyStarted | ReplyEnded | ChatChanged | ChatOpened | ListChanged
    | DownloadChanged | ModelMismatch | Notified
)  # fmt: skip
