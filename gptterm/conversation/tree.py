"""A conversation: turns as a tree, with one path through it open.

Nothing is ever taken away. Regenerating a reply and editing a turn put a sibling beside it; going
on with a reply makes it longer. Every turn remembers which of its answers was open last, so that
walking to a sibling and back shows the same conversation again.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from gptterm.conversation.nodes import Generation, Node, TurnRole
from gptterm.conversation.reply_builder import ReplyBuilder
from gptterm.engine.api import (
    ChatPrompt,
    Event,
    FinishReason,
    Message,
    ModelInfo,
    SamplingParams,
    TextPrompt,
    Transcript,
)

MAX_TITLE_LENGTH = 200
"""Characters."""


class SiblingPosition(NamedTuple):
    """Where a turn stands among its siblings: the `number`-th (from 1) of `total`."""

    number: int
    total: int


class Conversation:
    """Turns as a tree. Turns are named by ids; `node` gives what they hold.

    Args:
        system: the system text of the chat.
        id: kept when a conversation is read again; None makes a new one.
        created: seconds since 1970; None is now.
        clock: tells the time.

    Every method that takes an id raises KeyError when there is no such turn.
    """

    def __init__(
        self,
        system: str = "",
        *,
        id: str | None = None,  # noqa: A002 - the field's name
        created: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.id = id or uuid.uuid4().hex
        self.created = clock() if created is None else created
        self._clock = clock
        self._system = clean_text(system)
        self._title = ""
        self._nodes: dict[str, Node] = {}
        self._children: dict[str | None, list[str]] = {None: []}
        self._selected: dict[str | None, str] = {}
        self._builders: dict[str, ReplyBuilder] = {}

    @classmethod
    def restore(
        cls,
        *,
        id: str,  # noqa: A002
        created: float,
        system: str,
        nodes: Iterable[Node],
        selected_children: Mapping[str, str],
        selected_root: str | None,
        title: str = "",
    ) -> "Conversation":
        """Build a conversation from what was kept of it.

        Args:
            nodes: parents before their children.
            selected_children: turn → its selected child; the first child where missing.
            selected_root: the selected first turn.
            title: a user's; empty for none.

        Raises:
            ValueError: the parts do not make a tree.
        """
        chat = cls(system, id=id, created=created)
        chat.title = title
        for node in nodes:
            chat._check_new(node)
            chat._insert(node, select=node.parent not in chat._selected)
        root = {None: selected_root} if selected_root else {}
        for parent, child in (*selected_children.items(), *root.items()):
            if child not in chat._children.get(parent, ()):
                raise ValueError(f"{child!r} does not follow {parent!r}")
            chat._selected[parent] = child
        return chat

    def _check_new(self, node: Node) -> None:
        if node.id in self._nodes or not node.id:
            raise ValueError(f"two turns are called {node.id!r}")
        if node.parent is not None and node.parent not in self._nodes:
            raise ValueError(f"turn {node.id!r} follows {node.parent!r}, which is not there")
        if node.role == "assistant":
            self._require_user(node.parent)

    def _require_user(self, parent: str | None) -> str:
        if parent is None or self._nodes[parent].role != "user":
            raise ValueError("a reply follows a turn of the user's")
        return parent

    # ---------------------------------------------------------------------------- looking

    @property
    def system(self) -> str:
        """The system text; empty for none."""
        return self._system

    @system.setter
    def system(self, text: str) -> None:
        self._system = clean_text(text)

    @property
    def title(self) -> str:
        """The title given to it, else its first line."""
        return self._title or self.first_line

    @title.setter
    def title(self, text: str) -> None:
        self._title = normalise_title(text)

    @property
    def has_title(self) -> bool:
        """Somebody gave it the title."""
        return self._title != ""

    @property
    def first_line(self) -> str:
        """The first line of the first turn; empty while there is none."""
        texts = (self.node(node_id).text.strip() for node_id in self._children[None])
        return next((text.splitlines()[0] for text in texts if text), "")

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, node_id: object) -> bool:
        return node_id in self._nodes

    def node(self, node_id: str) -> Node:
        """The turn as it is now; of a reply being written, what is there so far."""
        builder = self._builders.get(node_id)
        return self._nodes[node_id] if builder is None else builder.node()

    def nodes(self) -> tuple[Node, ...]:
        """All turns, parents before their children."""
        return tuple(self.node(node_id) for node_id in self._nodes)

    @property
    def leaf(self) -> str | None:
        """The last turn of the open path; None when there is no turn."""
        path = self.path()
        return path[-1] if path else None

    def path(self) -> tuple[str, ...]:
        """The open path, from the first turn to the last."""
        found: list[str] = []
        at = self._selected.get(None)
        while at is not None:
            found.append(at)
            at = self._selected.get(at)
        return tuple(found)

    def path_to(self, node_id: str) -> tuple[str, ...]:
        """The path from the first turn to this one, whether it is open or not."""
        found = [node_id]
        while (parent := self._nodes[found[-1]].parent) is not None:
            found.append(parent)
        return tuple(reversed(found))

    def children(self, node_id: str | None) -> tuple[str, ...]:
        """The turns right after this one (None: the first turns), oldest first."""
        return tuple(self._children[node_id])

    def siblings(self, node_id: str) -> tuple[str, ...]:
        """The versions of this turn, itself among them, oldest first."""
        return tuple(self._children[self._nodes[node_id].parent])

    def sibling_position(self, node_id: str) -> SiblingPosition:
        """Which of its siblings a turn is."""
        siblings = self.siblings(node_id)
        return SiblingPosition(siblings.index(node_id) + 1, len(siblings))

    def selected_child(self, node_id: str | None) -> str | None:
        """Which of the turns after this one is open."""
        return self._selected.get(node_id)

    def last_reply(self) -> str | None:
        """The last reply on the open path."""
        return next((i for i in reversed(self.path()) if self._nodes[i].role == "assistant"), None)

    def is_streaming(self, node_id: str) -> bool:
        """Whether the reply is still being written."""
        return node_id in self._builders

    # ---------------------------------------------------------------------------- walking

    def select(self, node_id: str) -> None:
        """Open the path that leads to this turn, and on from it as it was left."""
        at = node_id
        while True:
            parent = self._nodes[at].parent
            self._selected[parent] = at
            if parent is None:
                return
            at = parent

    def select_sibling(self, node_id: str, by: int) -> str:
        """Open the sibling `by` places further, at most the last or the first; return its id."""
        siblings = self.siblings(node_id)
        at = min(max(siblings.index(node_id) + by, 0), len(siblings) - 1)
        self.select(siblings[at])
        return siblings[at]

    # ---------------------------------------------------------------------------- writing

    def add_user(self, text: str) -> str:
        """Put a turn of the user's at the end of the open path and return its id."""
        return self._add("user", clean_text(text), self.leaf)

    def edit(self, node_id: str, text: str) -> str:
        """Put another version of a turn beside it, open it, and return its id.

        What followed the old one stays with that.
        """
        old = self._nodes[node_id]
        return self._add(old.role, clean_text(text), old.parent)

    def begin_reply(self, user_id: str, run: Generation) -> str:
        """Begin a reply to a turn of the user's, beside those it has; return its id.

        Raises:
            ValueError: the turn is a reply itself.
        """
        reply = self._add("assistant", "", self._require_user(user_id))
        self._builders[reply] = ReplyBuilder(self._nodes[reply], run)
        return reply

    def regenerate(self, reply_id: str, run: Generation) -> str:
        """Begin another reply beside this one; return its id.

        Raises:
            ValueError: the turn is no reply.
        """
        if self._nodes[reply_id].role != "assistant":
            raise ValueError("only a reply can be regenerated")
        return self.begin_reply(self._require_user(self._nodes[reply_id].parent), run)

    def continue_reply(self, reply_id: str, run: Generation) -> None:
        """Begin to write on at the end of a finished reply.

        Raises:
            ValueError: the turn is no reply, or one still being written.
        """
        if self._nodes[reply_id].role != "assistant" or self.is_streaming(reply_id):
            raise ValueError("only a finished reply can be continued")
        self._builders[reply_id] = ReplyBuilder(self._nodes[reply_id], run)

    def apply_event(self, reply_id: str, event: Event) -> None:
        """Take in an event of the generation that writes the reply, whether open or not.

        A reply that has ended takes nothing more.
        """
        builder = self._builders.get(reply_id)
        if builder is None:
            self._nodes[reply_id]  # KeyError for a turn that never was
            return
        builder.apply(event)
        self._store_finished(reply_id, builder)

    def append(self, reply_id: str, text: str) -> None:
        """Add text to a reply being written, from where there are no events."""
        self._builders[reply_id].append(text)

    def change_sampling(self, reply_id: str, sampling: SamplingParams) -> None:
        """Note that the rest of a reply being written is made with other samplers."""
        self._builders[reply_id].change_sampling(sampling)

    def finish(self, reply_id: str, reason: FinishReason, *, error: str = "") -> None:
        """End a reply whose generation gave no end of its own; one that has ended stays so."""
        builder = self._builders.get(reply_id)
        if builder is None:
            self._nodes[reply_id]
            return
        builder.finish(reason, error=error)
        self._store_finished(reply_id, builder)

    def _store_finished(self, reply_id: str, builder: ReplyBuilder) -> None:
        if builder.finished:
            self._nodes[reply_id] = builder.node()
            del self._builders[reply_id]

    def _add(self, role: TurnRole, text: str, parent: str | None) -> str:
        number = len(self._nodes) + 1
        while str(number) in self._nodes:  # a conversation that was read may number otherwise
            number += 1
        node = Node(
            id=str(number),
            parent=parent,
            role=role,
            text=text,
            created=self._clock(),
        )
        self._insert(node, select=True)
        return node.id

    def _insert(self, node: Node, *, select: bool) -> None:
        self._nodes[node.id] = node
        self._children[node.id] = []
        self._children[node.parent].append(node.id)
        if select:
            self._selected[node.parent] = node.id

    # -------------------------------------------------------------------------- prompting

    def chat_prompt(
        self, reply_id: str, info: ModelInfo, transcript: Transcript | None = None
    ) -> ChatPrompt:
        """Chat prompt for a reply: the turns before it, and its own text if it has begun."""
        messages = [Message(role="system", text=self._system)] if self._system else []
        messages += [_message(turns, info) for turns in self._messages(reply_id)]
        begun = self.node(reply_id).text != ""
        if begun:
            messages.append(_message((self.node(reply_id),), info))
        return ChatPrompt(
            messages=tuple(messages),
            continue_last=begun,
            transcript=transcript or Transcript(),
        )

    def raw_prompt(self, reply_id: str) -> TextPrompt:
        """The same for a model that only continues: the texts as they were written.

        Each turn of the user's after the first is on a line of its own. A reply stands right
        after what it continued, so that a turn is read as it was when it was written.
        """
        text = ""
        for node in map(self.node, self.path_to(reply_id)):
            text += f"\n{node.text}" if text and node.role == "user" else node.text
        return TextPrompt(text=text)

    def _messages(self, reply_id: str) -> list[tuple[Node, ...]]:
        """The turns before a reply, those that make up one message together.

        Templates insist on user and assistant taking turns. So an empty reply is left out, and
        turns of the user's that then follow each other become one message.
        """
        found: list[tuple[Node, ...]] = []
        for node_id in self.path_to(reply_id)[:-1]:
            node = self.node(node_id)
            if node.role == "assistant" and not node.text:
                continue
            if found and found[-1][-1].role == node.role:
                found[-1] = (*found[-1], node)
            else:
                found.append((node,))
        return found

    def out_of_context(self) -> frozenset[str]:
        """The turns of the open path that the model was not given for the last reply."""
        reply = self.last_reply()
        run = self.node(reply).generation if reply is not None else None
        if reply is None or run is None:
            return frozenset()
        dropped = self._messages(reply)[: run.dropped_messages]
        return frozenset(node.id for turns in dropped for node in turns)


def _message(turns: tuple[Node, ...], info: ModelInfo) -> Message:
    text = "\n\n".join(node.text for node in turns)
    alone = turns[0] if len(turns) == 1 else None
    ids = alone.ids if alone is not None and alone.written_by(info) else ()
    return Message(role=turns[0].role, text=text, ids=ids)


def normalise_title(text: str) -> str:
    """`text` as a title: on one line, and not too long."""
    return " ".join(clean_text(text).split())[:MAX_TITLE_LENGTH]


def clean_text(text: str) -> str:
    """Return `text` as valid Unicode: halves of a surrogate pair joined, or U+FFFD.

    A terminal's input can hold them; no tokenizer, file or socket takes them.
    """
    try:
        text.encode()  # quicker, and nearly always right
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
