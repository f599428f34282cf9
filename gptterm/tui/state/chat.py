"""A chat of the TUI: the conversation tree, its saver and its draft."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gptterm.config import Settings
from gptterm.conversation.nodes import Node
from gptterm.conversation.resume import last_model
from gptterm.conversation.tree import Conversation
from gptterm.engine.api import Event, ModelInfo, Prompt
from gptterm.tui.state.turns import QUEUED, SYSTEM, Turn, ending, speaker_label

if TYPE_CHECKING:
    from gptterm.store import ChatSaver

UNTITLED = "new chat"


class Chat:
    """A conversation, with the saver that writes it to the history, if there is one.

    Args:
        system: System text of a new conversation.
        tree: An existing conversation.
    """

    def __init__(self, system: str | None = None, tree: Conversation | None = None) -> None:
        self.tree = Conversation(system or "") if tree is None else tree
        self.saver: ChatSaver | None = None
        """Saves the chat; None while it is in memory only."""
        self.draft = ""
        """Text typed but not sent."""
        self.listed = False
        """Whether the history's list has contained it."""

    @property
    def key(self) -> str:
        """The conversation's id."""
        return self.tree.id

    @property
    def empty(self) -> bool:
        """Whether it has no turns."""
        return len(self.tree) == 0

    @property
    def title(self) -> str:
        """Title for the list of chats."""
        return self.tree.title or UNTITLED

    @property
    def model(self) -> str:
        """Local model of the last reply; empty if there is none, or it was imported."""
        return last_model(self.tree)

    @property
    def user_messages(self) -> list[str]:
        """The user's messages in the selected branch, oldest first."""
        nodes = map(self.tree.node, self.tree.path())
        return [node.text for node in nodes if node.role == "user"]

    def apply(self, key: str, event: Event) -> None:
        """Apply an event of the generation that writes reply `key`; it is saved soon."""
        if self.saver is None:
            self.tree.apply_event(key, event)
        else:
            self.saver.apply_event(key, event)

    def save(self) -> None:
        """Queue all changes for the history's writer thread."""
        if self.saver is not None:
            self.saver.save()

    def replace_tree(self, tree: Conversation) -> None:
        """Continue with the history's version of the conversation, in the same branch."""
        if (leaf := self.tree.leaf) is not None and leaf in tree:
            tree.select(leaf)
        self.tree = tree
        self.saver = None

    def question_of(self, key: str | None) -> str | None:
        """Return the user's turn that turn `key` answers, or is; None means the last reply."""
        key = self.tree.last_reply() or self.tree.leaf if key is None else key
        if key is None or key not in self.tree:
            return None
        node = self.tree.node(key)
        return node.id if node.role == "user" else node.parent

    def prompt(self, reply: str, settings: Settings, info: ModelInfo) -> Prompt:
        """Build the engine's prompt for a reply."""
        if settings.form == "raw":
            return self.tree.raw_prompt(reply)
        return self.tree.chat_prompt(reply, info, settings.transcript)

    def turns(self, markdown: bool | None, queued: Sequence[str], reason: str) -> list[Turn]:
        """Return the turns of the selected branch, and those still in the queue.

        Args:
            markdown: Whether finished replies are Markdown; None while no model is loaded.
            queued: For each queued reply, the message to be sent before it, or "" if that
                is a turn already.
            reason: Why they wait.
        """
        dropped = self.tree.out_of_context()
        turns = [
            self._turn(self.tree.node(key), markdown, dropped=key in dropped)
            for key in self.tree.path()
        ]
        if self.tree.system:
            turns.insert(0, Turn(SYSTEM, "system", "system", self.tree.system))
        for message in queued:
            role, label = ("user", "you") if message else ("assistant", "…")
            turns.append(Turn(QUEUED, role, label, message, footer=reason))
        return turns

    def _turn(self, node: Node, markdown: bool | None, *, dropped: bool) -> Turn:
        streaming = self.tree.is_streaming(node.id)
        is_reply = node.role == "assistant" and not streaming
        run = node.generation
        provisional = is_reply and markdown is None and run is not None and not run.raw
        return Turn(
            node.id,
            node.role,
            speaker_label(node),
            node.text,
            position=self.tree.sibling_position(node.id),
            footer="" if streaming else ending(node),
            markdown=is_reply and (provisional or bool(markdown)),
            provisional=provisional,
            dropped=dropped,
            is_streaming=streaming,
        )
