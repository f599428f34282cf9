"""A chat of the TUI: the conversation tree, its saver and its draft."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING

from gptterm.config import Settings
from gptterm.conversation.nodes import SYSTEM, Node
from gptterm.conversation.reply_form import is_markdown
from gptterm.conversation.resume import last_model
from gptterm.conversation.tree import Conversation
from gptterm.engine.api import Event, ModelInfo, Prompt
from gptterm.tui.state.tints import RawPart, Tint, TokenMarks
from gptterm.tui.state.turns import (
    QUEUED,
    WRITTEN_ELSEWHERE,
    Turn,
    ending,
    is_cut_off,
    is_stopped,
    reply_details,
    speaker_label,
    thought,
)

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
        self.written_elsewhere = False
        """Another program is writing its last reply."""

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

    def next_seed(self, question: str, seed: int | None) -> int | None:
        """Return the seed after those that have answered a turn; None if the set one has not.

        With the same seed, the model would write the same reply again.
        """
        nodes = map(self.tree.node, self.tree.children(question))
        used = {run.seed for node in nodes for run in node.generations[:1]}
        if seed is None or seed not in used:
            return None
        return next(each for each in count(seed + 1) if each not in used)

    def prompt(self, reply: str, settings: Settings, info: ModelInfo) -> Prompt:
        """Build the engine's prompt for a reply."""
        if settings.form == "raw":
            return self.tree.raw_prompt(reply)
        return self.tree.chat_prompt(reply, info, settings.transcript)

    def turns(
        self,
        info: ModelInfo | None,
        queued: Sequence[str],
        reason: str,
        tokens: TokenMarks | None = None,
    ) -> Iterator[Turn]:
        """Yield the turns of the selected branch, and those still in the queue.

        Args:
            info: The model that is loaded, if there is one.
            queued: For each queued reply, the message to be sent before it, or "" if that
                is a turn already.
            reason: Why they wait.
            tokens: Marks on the tokens; a turn that has either is plain text.
        """
        dropped = self.tree.out_of_context()
        if self.tree.system:
            tints, raw, cursor = _shown_tokens(tokens, SYSTEM, b"")
            text = self.tree.system
            yield Turn(SYSTEM, SYSTEM, SYSTEM, text, tints=tints, raw=raw, cursor=cursor)
        for key in self.tree.path():
            yield self._turn(self.tree.node(key), info, tokens, dropped=key in dropped)
        for message in queued:
            role, label = ("user", "you") if message else ("assistant", "…")
            yield Turn(QUEUED, role, label, message, footer=reason)

    def turn(self, key: str, info: ModelInfo | None, tokens: TokenMarks) -> Turn:
        """Return one turn of the selected branch."""
        if key == SYSTEM:
            return next(self.turns(info, (), "", tokens))
        dropped = key in self.tree.out_of_context()
        return self._turn(self.tree.node(key), info, tokens, dropped=dropped)

    def _turn(
        self, node: Node, info: ModelInfo | None, tokens: TokenMarks | None, *, dropped: bool
    ) -> Turn:
        streaming = self.tree.is_streaming(node.id)
        tints, raw, cursor = _shown_tokens(tokens, node.id, node.scores)
        measure = tokens.measure if streaming and tokens is not None else None
        elsewhere = self.written_elsewhere and node.id == self.tree.leaf and is_cut_off(node)
        made = reply_details(node)
        if elsewhere:
            made = (WRITTEN_ELSEWHERE, *made[1:])
        return Turn(
            node.id,
            node.role,
            speaker_label(node),
            node.text,
            position=self.tree.sibling_position(node.id),
            details=() if streaming else (*filter(None, [node.name]), *made),
            footer="" if streaming else ending(node),
            thought="" if streaming else thought(node),
            # What is tinted while it is written is plain.
            markdown=not (tints or cursor or measure) and is_markdown(self.tree, node, info),
            dropped=dropped,
            is_stopped=not (streaming or elsewhere) and is_stopped(node),
            is_streaming=streaming,
            tints=tints,
            raw=raw,
            cursor=cursor,
            measure=measure,
        )


def _shown_tokens(
    tokens: TokenMarks | None, key: str, scores: bytes
) -> tuple[tuple[Tint, ...], tuple[RawPart, ...], tuple[int, int] | None]:
    """Tints of a turn, parts shown by their bytes, and the part that the walked token spells."""
    if tokens is None:
        return (), (), None
    tints, cursor = tokens.tints(key, scores), tokens.cursor(key)
    return tints, tokens.raw(key, scores) if tints or cursor else (), cursor
