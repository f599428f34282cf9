"""Conversation: a tree of turns with one selected path.

Turns are never removed. Regenerating a reply or editing a turn adds a sibling; continuing a reply
extends it. Every turn remembers its last selected child, so that switching to a sibling and back
shows the same conversation.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

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
    """Position of a turn among its siblings: number `number` (from 1) of `total`."""

    number: int
    total: int


class Conversation:
    """A tree of turns. Turns are addressed by id; `node` returns their contents.

    Args:
        system: the system text of the chat.
        id: of a saved conversation; None for a new one.
        created: seconds since 1970; None is now.
        clock: returns the current time.

    Every method that takes an id raises KeyError for an unknown one.
    """

    def __init__(
        self,
        system: str = "",
        *,
        id: str | None = None,  # noqa: A002 - the usual name
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
        """Restore a saved conversation.

        Args:
            nodes: parents before their children.
            selected_children: turn → its selected child; the first child where missing.
            selected_root: the selected first turn.
            title: a user's; empty for none.

        Raises:
            ValueError: the turns are not a tree.
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
            raise ValueError(f"two turns have the id {node.id!r}")
        if node.parent is not None and node.parent not in self._nodes:
            raise ValueError(f"turn {node.id!r} follows {node.parent!r}, which does not exist")
        if node.role == "assistant":
            self._require_user(node.parent)

    def _require_user(self, parent: str | None) -> str:
        if parent is None or self._nodes[parent].role != "user":
            raise ValueError("a reply must follow a user's turn")
        return parent

    # ---------------------------------------------------------------------------- reading

    @property
    def system(self) -> str:
        """The system text; empty for none."""
        return self._system

    @system.setter
    def system(self, text: str) -> None:
        self._system = clean_text(text)

    @property
    def title(self) -> str:
        """The user's title; else the first line."""
        return self._title or self.first_line

    @title.setter
    def title(self, text: str) -> None:
        self._title = normalise_title(text)

    @property
    def has_title(self) -> bool:
        """Whether a user gave the title."""
        return self._title != ""

    @property
    def first_line(self) -> str:
        """The first line of the first turn; empty without one."""
        texts = (self.node(node_id).text.strip() for node_id in self._children[None])
        return next((text.splitlines()[0] for text in texts if text), "")

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, node_id: object) -> bool:
        return node_id in self._nodes

    def node(self, node_id: str) -> Node:
        """Return a turn as it is now; a reply being streamed is partial."""
        builder = self._builders.get(node_id)
        return self._nodes[node_id] if builder is None else builder.node()

    def drawn(self, node_id: str) -> Node:
        """Return a turn for a prompt: of a reply being streamed, the whole tokens, with their ids.

        Else the model would read its text with other tokens than it has drawn.
        """
        builder = self._builders.get(node_id)
        return self._nodes[node_id] if builder is None else builder.drawn()

    def nodes(self) -> tuple[Node, ...]:
        """Return all turns, parents before their children."""
        return tuple(self.node(node_id) for node_id in self._nodes)

    @property
    def leaf(self) -> str | None:
        """The last turn of the selected path; None without turns."""
        path = self.path()
        return path[-1] if path else None

    def path(self) -> tuple[str, ...]:
        """Return the selected path, from the first turn to the last."""
        found: list[str] = []
        at = self._selected.get(None)
        while at is not None:
            found.append(at)
            at = self._selected.get(at)
        return tuple(found)

    def path_to(self, node_id: str) -> tuple[str, ...]:
        """Return the path from the first turn to this one, selected or not."""
        found = [node_id]
        while (parent := self._nodes[found[-1]].parent) is not None:
            found.append(parent)
        return tuple(reversed(found))

    def children(self, node_id: str | None) -> tuple[str, ...]:
        """Return the turns right after this one (None: the first turns), oldest first."""
        return tuple(self._children[node_id])

    def siblings(self, node_id: str) -> tuple[str, ...]:
        """Return the versions of this turn, including itself, oldest first."""
        return tuple(self._children[self._nodes[node_id].parent])

    def sibling_position(self, node_id: str) -> SiblingPosition:
        """Return the position of a turn among its siblings."""
        siblings = self.siblings(node_id)
        return SiblingPosition(siblings.index(node_id) + 1, len(siblings))

    def selected_child(self, node_id: str | None) -> str | None:
        """Return the selected one of the turns after this one."""
        return self._selected.get(node_id)

    def last_reply(self) -> str | None:
        """Return the last reply on the selected path."""
        return next((i for i in reversed(self.path()) if self._nodes[i].role == "assistant"), None)

    def is_streaming(self, node_id: str) -> bool:
        """Whether the reply is being streamed."""
        return node_id in self._builders

    # ---------------------------------------------------------------------------- selection

    def select(self, node_id: str) -> None:
        """Select the path to this turn, and from there its last selected descendants."""
        at = node_id
        while True:
            parent = self._nodes[at].parent
            self._selected[parent] = at
            if parent is None:
                return
            at = parent

    def select_sibling(self, node_id: str, by: int) -> str:
        """Select the sibling `by` positions further, clamped to the ends; return its id."""
        siblings = self.siblings(node_id)
        at = min(max(siblings.index(node_id) + by, 0), len(siblings) - 1)
        self.select(siblings[at])
        return siblings[at]

    # ---------------------------------------------------------------------------- writing

    def name_branch(self, node_id: str, name: str) -> None:
        """Name the branch that begins with a turn; an empty name takes it away."""
        if node_id in self._builders:
            raise ValueError("the reply is being written")
        node = self._nodes[node_id]
        self._nodes[node_id] = msgspec.structs.replace(node, name=normalise_title(name))

    def add_user(self, text: str) -> str:
        """Append a user's turn to the selected path; return its id."""
        return self._add("user", clean_text(text), self.leaf)

    def edit(self, node_id: str, text: str) -> str:
        """Add and select another version of a turn; return its id.

        The turns after the old version stay with it.
        """
        old = self._nodes[node_id]
        return self._add(old.role, clean_text(text), old.parent)

    def begin_reply(self, user_id: str, run: Generation) -> str:
        """Begin another reply to a user's turn; return its id.

        Raises:
            ValueError: the turn is a reply itself.
        """
        reply = self._add("assistant", "", self._require_user(user_id))
        self._builders[reply] = ReplyBuilder(self._nodes[reply], self._with_system(run))
        return reply

    def regenerate(self, reply_id: str, run: Generation) -> str:
        """Begin a sibling of a reply; return its id.

        Raises:
            ValueError: the turn is not a reply.
        """
        if self._nodes[reply_id].role != "assistant":
            raise ValueError("only a reply can be regenerated")
        return self.begin_reply(self._require_user(self._nodes[reply_id].parent), run)

    def continue_reply(self, reply_id: str, run: Generation) -> None:
        """Begin to extend a finished reply.

        Raises:
            ValueError: the turn is not a reply, or still being streamed.
        """
        if self._nodes[reply_id].role != "assistant" or self.is_streaming(reply_id):
            raise ValueError("only a finished reply can be continued")
        self._builders[reply_id] = ReplyBuilder(self._nodes[reply_id], self._with_system(run))

    def _with_system(self, run: Generation) -> Generation:
        """The run with the system text of now, which may be another one later."""
        return (
            run
            if run.raw or not self._system
            else msgspec.structs.replace(run, system=self._system)
        )

    def add_version(self, reply_id: str, version: Node) -> str:
        """Add and select a sibling of a reply with the contents of `version`; return its id."""
        reply = self._add("assistant", "", self._nodes[reply_id].parent)
        own = self._nodes[reply]
        self._nodes[reply] = msgspec.structs.replace(
            version, id=own.id, parent=own.parent, role=own.role, created=own.created
        )
        return reply

    def apply_event(self, reply_id: str, event: Event) -> None:
        """Apply an event of the generation that writes a reply, selected or not.

        Events after the end of the reply are ignored.
        """
        builder = self._builders.get(reply_id)
        if builder is None:
            self._nodes[reply_id]  # raises KeyError for an unknown id
            return
        builder.apply(event)
        self._store_finished(reply_id, builder)

    def append(self, reply_id: str, text: str) -> None:
        """Append text to a reply being streamed, without an event."""
        self._builders[reply_id].append(text)

    def change_sampling(self, reply_id: str, sampling: SamplingParams) -> None:
        """Record other samplers for the rest of a reply being streamed."""
        self._builders[reply_id].change_sampling(sampling)

    def finish(self, reply_id: str, reason: FinishReason, *, error: str = "") -> None:
        """End a reply whose generation did not; no effect on one that has ended."""
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
        while str(number) in self._nodes:  # an imported conversation may be numbered otherwise
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
        """Return the chat prompt for a reply: the turns before it, and its own text so far.

        For a user's turn, return that of a reply to it.
        """
        messages = [Message(role="system", text=self._system)] if self._system else []
        messages += [_message(turns, info) for turns in self.messages(reply_id)]
        return ChatPrompt(
            messages=tuple(messages),
            continue_last=messages[-1].role == "assistant",
            transcript=transcript or Transcript(),
        )

    def raw_prompt(self, reply_id: str) -> TextPrompt:
        """Return the prompt for a raw continuation: the texts verbatim.

        Each user's turn after the first begins a line. A reply follows the text it continued
        without a break, so that the model reads it as it was generated.
        """
        text = ""
        for node in map(self.node, self.path_to(reply_id)):
            text += f"\n{node.text}" if text and node.role == "user" else node.text
        return TextPrompt(text=text)

    def messages(self, node_id: str) -> list[tuple[Node, ...]]:
        """Return the turns of a chat prompt up to this one, grouped into messages.

        Chat templates require alternating roles: empty replies are left out, and consecutive user's
        turns are merged into one message.
        """
        found: list[tuple[Node, ...]] = []
        for node in map(self.drawn, self.path_to(node_id)):
            if node.role == "assistant" and not node.text:
                continue
            if found and found[-1][-1].role == node.role:
                found[-1] = (*found[-1], node)
            else:
                found.append((node,))
        return found

    def out_of_context(self) -> frozenset[str]:
        """Return the turns of the selected path that did not fit the last reply's context."""
        reply = self.last_reply()
        run = self.node(reply).generation if reply is not None else None
        if reply is None or run is None:
            return frozenset()
        dropped = self.messages(reply)[: run.dropped_messages]
        return frozenset(node.id for turns in dropped for node in turns) - {reply}


def _message(turns: tuple[Node, ...], info: ModelInfo) -> Message:
    text = "\n\n".join(node.text for node in turns)
    alone = turns[0] if len(turns) == 1 else None
    ids = alone.ids if alone is not None and alone.written_by(info) else ()
    return Message(role=turns[0].role, text=text, ids=ids)


def normalise_title(text: str) -> str:
    """Return `text` as a title: one line of limited length."""
    return " ".join(clean_text(text).split())[:MAX_TITLE_LENGTH]


def clean_text(text: str) -> str:
    """Return `text` as valid Unicode: surrogate pairs are joined, lone surrogates become U+FFFD.

    A terminal's input can contain them; tokenizers, files and sockets refuse them.
    """
    try:
        text.encode()  # quicker, and nearly always right
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def clean_values(value: Any) -> Any:
    """Replace lone surrogates in the texts of decoded JSON."""
    match value:
        case str():
            return clean_text(value)
        case dict():
            return {clean_text(name): clean_values(item) for name, item in value.items()}
        case list():
            return [clean_values(item) for item in value]
    return value
