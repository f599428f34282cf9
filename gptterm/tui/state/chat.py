"""A chat as the TUI shows it: the tree of a conversation, and a view of each of its turns."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gptterm.config import Settings
from gptterm.conversation.nodes import Node
from gptterm.conversation.tree import Conversation
from gptterm.engine.api import Event, ModelInfo, Prompt
from gptterm.tui.keys import short_name
from gptterm.tui.widgets.status import seconds
from gptterm.tui.widgets.transcript.turn_view import TurnView

if TYPE_CHECKING:
    from gptterm.store import ChatSaver

SYSTEM = "system"
"""Key of the view of the system text, which is no turn."""
WAITING = "waiting"
"""Key of the view of a reply that has not begun."""
UNTITLED = "new chat"


class Chat:
    """One conversation and the views of its turns, which keep what was wrapped."""

    def __init__(self, system: str | None = None, tree: Conversation | None = None) -> None:
        self.tree = Conversation(system or "") if tree is None else tree
        self.saver: ChatSaver | None = None
        """Keeps it; None: it is in memory only."""
        self.draft = ""
        """What was typed and not sent."""
        self.listed = False
        """Whether the history's list has had it."""
        self._views: dict[str, TurnView] = {}
        self._guessed: set[str] = set()
        """Replies that are shown as Markdown before it is known whether they are."""

    @property
    def key(self) -> str:
        """Tells chats apart."""
        return self.tree.id

    @property
    def empty(self) -> bool:
        """Whether nothing was said yet."""
        return len(self.tree) == 0

    @property
    def title(self) -> str:
        """What the list of chats calls it."""
        return self.tree.title or UNTITLED

    @property
    def model(self) -> str:
        """The model that wrote last; empty for none."""
        reply = self.tree.last_reply()
        return "" if reply is None else self.tree.node(reply).model

    @property
    def asked(self) -> list[str]:
        """The user's messages in the open branch, oldest first."""
        nodes = map(self.tree.node, self.tree.path())
        return [node.text for node in nodes if node.role == "user"]

    def apply(self, key: str, event: Event) -> None:
        """Take in an event of the generation that writes a reply; it is kept soon."""
        if self.saver is None:
            self.tree.apply_event(key, event)
        else:
            self.saver.apply_event(key, event)

    def save(self) -> None:
        """Have everything that has changed kept; it is written elsewhere."""
        if self.saver is not None:
            self.saver.save()

    def catch_up(self, tree: Conversation) -> None:
        """Go on from what the history has of the chat, in the same branch."""
        if (leaf := self.tree.leaf) is not None and leaf in tree:
            tree.select(leaf)
        self.tree = tree
        self.saver = None
        self._views.clear()

    def question_of(self, key: str | None) -> str | None:
        """The user's turn that a turn answers, or is; for None, that of the last reply."""
        key = self.tree.last_reply() or self.tree.leaf if key is None else key
        if key is None or key not in self.tree:
            return None
        node = self.tree.node(key)
        return node.id if node.role == "user" else node.parent

    def prompt(self, reply: str, settings: Settings, info: ModelInfo) -> Prompt:
        """What the engine is asked for this reply."""
        if settings.form == "raw":
            return self.tree.raw_prompt(reply)
        return self.tree.chat_prompt(reply, info, settings.transcript)

    # ------------------------------------------------------------------------------- views

    def views(self, markdown: bool | None, waiting: Sequence[str], because: str) -> list[TurnView]:
        """The turns of the open path.

        Args:
            markdown: Finished replies are Markdown; None: no model is loaded that would tell.
            waiting: For each reply that was asked for and has not begun: the message that is
                sent before it, or "" when that is a turn already.
            because: Why they wait.
        """
        views: list[TurnView] = []
        if self.tree.system:
            views.append(self._system_view())
        dropped = self.tree.out_of_context()
        for key in self.tree.path():
            view = self._view(self.tree.node(key), markdown)
            if (is_dropped := key in dropped) != view.dropped:
                view.dropped = is_dropped
                view.invalidate()
            views.append(view)
        for message in waiting:
            view = TurnView(WAITING, *(("user", "you", message) if message else ("assistant", "…")))
            view.footer = because
            views.append(view)
        return views

    def begin(self, key: str) -> None:
        """The view of a reply that is being written is plain and only grows."""
        node = self.tree.node(key)
        view = self._views[node.id] = TurnView(node.id, node.role, label(node), node.text)
        view.position = self.tree.sibling_position(node.id)
        view.is_streaming = True

    def forget(self, key: str) -> None:
        """The turn's text is another: its view is made anew."""
        self._views.pop(key, None)

    def _view(self, node: Node, markdown: bool | None) -> TurnView:
        view = self._views.get(node.id)
        if markdown is not None and node.id in self._guessed:
            self._guessed.discard(node.id)
            view = view if markdown else None
        if view is None:
            view = TurnView(node.id, node.role, label(node))
            if markdown is None and node.generation is not None and not node.generation.raw:
                markdown = True
                self._guessed.add(node.id)
            view.set_text(node.text, markdown=bool(markdown) and node.role == "assistant")
            self._views[node.id] = view
        place = self.tree.sibling_position(node.id)
        foot = "" if self.tree.is_streaming(node.id) else mark(node)
        if (place, foot) != (view.position, view.footer) and not self.tree.is_streaming(node.id):
            view.footer = foot
            view.invalidate()
        view.position = place
        return view

    def _system_view(self) -> TurnView:
        view = self._views.get(SYSTEM)
        if view is None:
            view = self._views[SYSTEM] = TurnView(SYSTEM, "system", "system", self.tree.system)
        return view


def label(node: Node) -> str:
    """Who speaks."""
    return "you" if node.role == "user" else short_name(node.model) or "reply"


def mark(node: Node) -> str:
    """How a reply ended, in words, where that is not simply its end."""
    run = node.generation
    if run is None:
        return ""
    match run.reason:
        case "cancelled":
            return "■ stopped"
        case "error":
            return f"✗ failed: {run.error or 'the engine died'}"
        case "length":
            tokens = sum(run.tokens for run in node.generations)
            return f"… cut after {tokens} {'tokens' if tokens != 1 else 'token'}"
        case None:
            return "■ cut off"
        case _:
            return "" if node.text else "(an empty reply)"


def details(node: Node) -> str:
    """What a reply was made with, on one line."""
    from gptterm.conversation.attribution import generation_summary

    run = node.generation
    if run is None:
        return ""
    parts = [generation_summary(node.generations)]
    if run.timings is not None and run.tokens:
        parts.append(f"first {seconds(run.timings.first_token_s)}")
    return " · ".join(parts)
