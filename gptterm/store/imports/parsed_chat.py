"""Chats as parsed from other programs' exports, and their conversion to conversations.

A parser lists messages with their parents; those that are shown become turns. Consecutive
messages of a model, between which it calls tools, become one reply.
"""

import functools
import re
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from gptterm.conversation.nodes import Generation, Node, TurnRole
from gptterm.conversation.tree import Conversation, clean_text, normalise_title

_ID = re.compile(r"[\w.:-]{1,100}", re.ASCII)


class UnreadableChatError(ValueError):
    """A chat cannot be imported; the message gives the reason in a few words."""


class Message(NamedTuple):
    """A message in a tree of messages."""

    id: str
    """Unique in the chat."""
    parent: str | None
    role: TurnRole | None
    """None: not shown; messages after it are."""
    text: str = ""
    created: float | None = None
    """Seconds since 1970; None if not known."""
    model: str = ""


class ParsedChat(NamedTuple):
    """A chat as parsed from another program's export."""

    origin: str
    """The program it comes from."""
    messages: Sequence[Message]
    """In any order, except that siblings are in theirs."""
    id: str = ""
    """Unique among all chats and the same in every export; empty for none."""
    key: str = ""
    """Identifies a chat without such an id, together with its first turns."""
    title: str = ""
    created: float | None = None
    system: str = ""
    current: str | None = None
    """The last message of the selected path; None for the last message of all."""
    damaged: int = 0
    """Number of messages that could not be read."""


def linear(
    messages: Sequence[tuple[TurnRole | None, str, float | None, str]],
) -> list[Message]:
    """Convert messages without branches and ids, given as role, text, time and model."""
    return [
        Message(f"m{number}", f"m{number - 1}" if number else None, *message)
        for number, message in enumerate(messages)
    ]


def conversation(chat: ParsedChat, seen: Counter[str]) -> Conversation:
    """Convert a chat to a conversation.

    Args:
        seen: counts the chats of a file that have no id and the same first turns.

    Raises:
        UnreadableChatError: Nothing was said in it.
    """
    times = (chat.created, *(message.created for message in chat.messages))
    created = next(filter(None, times), time.time())
    tree = _Tree(chat, created)
    nodes = tree.nodes()
    if not nodes:
        raise UnreadableChatError("it is empty")
    selected, root = tree.selected(nodes)
    made = Conversation.restore(
        id=_identity(chat, nodes, seen),
        created=created,
        system=chat.system,
        nodes=nodes,
        selected_children=selected,
        selected_root=root,
        title=chat.title,
    )
    if made.title == normalise_title(made.first_line):
        made.title = ""
    return made


def _identity(chat: ParsedChat, nodes: Sequence[Node], seen: Counter[str]) -> str:
    """Return the chat's id, or one derived from its beginning that stays when it grows."""
    if _ID.fullmatch(chat.id):
        return chat.id
    texts = [node.text for node in nodes[:2]]
    if chat.id:
        begin = []
    elif chat.key:
        begin = [chat.key, *texts[:1]]
    else:
        begin = [chat.system, *texts]
    name = clean_text(repr((chat.origin, chat.id, *begin)))
    number = seen[name]
    if begin:
        seen[name] += 1
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{name} {number}").hex


class _Position(NamedTuple):
    """Position in the tree of turns after a message."""

    node: str | None
    """The last turn."""
    user: str | None
    """The last turn of the user."""
    created: float
    """Time of the message."""


_TOP = _Position(None, None, 0.0)


class _Tree:
    """Builds the tree of turns from the messages of a chat."""

    def __init__(self, chat: ParsedChat, created: float) -> None:
        self._chat = chat
        messages = _parents_first(_unique(chat.messages))
        self._parents = {message.id: message.parent for message in messages}
        self._positions: dict[str, _Position] = {}
        self._nodes: dict[str, Node] = {}
        self._before: dict[str, str] = {}
        """Message of a reply → the one before it in the same reply."""
        self._names: dict[str, str] = {}
        """Last message of a reply → id of its turn, if that is another message's."""
        for message in messages:
            before = self._positions.get(message.parent or "", _TOP._replace(created=created))
            self._positions[message.id] = self._place(message, before)

    def _place(self, message: Message, before: _Position) -> _Position:
        """Add the turn of a message; return the position after it."""
        at = before.created if message.created is None else message.created
        text = clean_text(message.text)
        if message.role is None or not text.strip():
            return before._replace(created=at)
        name = clean_text(message.id)
        if message.role == "user":
            self._nodes[name] = Node(
                id=name, parent=before.node, role="user", text=text, created=at
            )
            return _Position(name, name, at)
        user = before.user
        if user is None:  # the model spoke first
            user = f"{name}-before"
            self._nodes[user] = Node(id=user, parent=before.node, role="user", text="", created=at)
        if before.node is not None and before.node != before.user:
            self._before[name] = before.node
        runs = (imported_run(clean_text(message.model), self._chat.origin),)
        self._nodes[name] = Node(
            id=name, parent=user, role="assistant", text=text, created=at, generations=runs
        )
        return _Position(name, user, at)

    def nodes(self) -> list[Node]:
        """Return the turns, parents first."""
        parts = self._unfinished()
        replies = [name for name in self._before if name not in parts]
        chains = {name: self._chain(name) for name in replies}
        firsts = Counter(chain[-1] for chain in chains.values())
        # The first message's id stays when the reply grows; it is unique unless the reply branches.
        self._names = {
            name: chain[-1]
            for name, chain in chains.items()
            if firsts[chain[-1]] == 1 and chain[-1] in parts
        }
        return [
            self._whole(node, chains.get(node.id))
            for node in self._nodes.values()
            if node.id not in parts
        ]

    def _chain(self, name: str) -> list[str]:
        """Return the messages of a reply, the last one first."""
        chain = [name]
        while chain[-1] in self._before:
            chain.append(self._before[chain[-1]])
        return chain

    def _whole(self, node: Node, chain: list[str] | None) -> Node:
        """Return a turn with the text of all its messages."""
        parent = node.parent and self._names.get(node.parent, node.parent)
        if chain is None:
            return node if parent == node.parent else msgspec.structs.replace(node, parent=parent)
        text = "\n\n".join(self._nodes[name].text for name in reversed(chain))
        return msgspec.structs.replace(
            node, id=self._names.get(node.id, node.id), parent=parent, text=text
        )

    def _unfinished(self) -> set[str]:
        """Return the messages that only begin a longer reply."""
        begun, followed = set[str](), set[str]()
        for name, position in self._positions.items():
            before = self._positions.get(self._parents[name] or "", _TOP)
            if before.node in (None, before.user, position.node):
                continue  # a first message, one after a user's, or one that is not shown
            assert before.node is not None
            (begun if position.user == before.user else followed).add(before.node)
        return begun - followed

    def selected(self, nodes: Sequence[Node]) -> tuple[dict[str, str], str | None]:
        """Return the selected path: the selected child of each turn, and the first turn."""
        known = {node.id: node.parent for node in nodes}
        current = self._chat.current
        if current not in self._positions:
            current = self._chat.messages[-1].id
        at = self._positions[current].node if current in self._positions else None
        if at is not None and at not in self._names and at not in known:
            at = self._nodes[at].parent  # its reply branches
        at = at and self._names.get(at, at)
        selected: dict[str, str] = {}
        root = None
        while at is not None and at in known:
            parent = known[at]
            if parent is None:
                root = at
            else:
                selected[parent] = at
            at = parent
        return selected, root


def _unique(messages: Sequence[Message]) -> Sequence[Message]:
    """Return the messages with unique ids: missing and duplicate ones are replaced."""
    names = {clean_text(message.id) for message in messages}
    if len(names) == len(messages) and "" not in names:
        return messages
    found: dict[str, Message] = {}
    for message in messages:
        name, number = clean_text(message.id), 2
        while not name or name in found:
            name, number = f"{clean_text(message.id)}~{number}", number + 1
        found[name] = message._replace(id=name)
    return list(found.values())


def _parents_first(messages: Sequence[Message]) -> list[Message]:
    """Sort messages so that parents come first; cycles are left out."""
    known = {message.id for message in messages}
    children: dict[str | None, list[Message]] = {}
    for message in messages:
        parent = message.parent if message.parent in known else None
        children.setdefault(parent, []).append(message)
    order: list[Message] = []
    waiting = children.get(None, [])[::-1]
    while waiting:
        order.append(waiting.pop())
        waiting += children.get(order[-1].id, [])[::-1]
    return order


@functools.lru_cache(maxsize=256)
def imported_run(model: str, origin: str) -> Generation:
    """Return the run of an imported reply, of which only model and origin are known."""
    return Generation(model=model, origin=origin, reason="eos")
