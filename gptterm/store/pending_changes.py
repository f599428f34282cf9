"""Changes of one conversation that are not in the history yet.

A conversation changes in a front end's thread and is written in another. What crosses between
them are snapshots: turns are immutable, so a snapshot of one is a reference to it. Snapshots stay
while the chat is open, so that all of it can be written again should the file disappear.
"""

import threading
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from gptterm.conversation.nodes import Node
from gptterm.conversation.tree import Conversation


class ConversationFields(NamedTuple):
    """The fields of a conversation's own row: everything but its turns."""

    id: str
    created: float
    first_line: str
    system: str
    open_root: str | None


class TextDelta(NamedTuple):
    """Text that a streaming reply grew by."""

    text: str
    tokens: int


class ChangeSet(NamedTuple):
    """The changes of one conversation that go into one transaction."""

    fields: ConversationFields
    complete: bool
    """It holds the whole conversation, not only what has changed."""
    nodes: tuple[Node, ...]
    """Parents before their children."""
    streaming: dict[str, str]
    """Full texts of the nodes that are streaming, which `nodes` has without the current run."""
    selected: dict[str, str]
    """Turn → its selected child."""
    deltas: dict[str, TextDelta]
    """Streaming reply → the text it grew by."""


class PendingChanges:
    """Collects the changes of one conversation until they are written. Thread-safe.

    Args:
        known: the turns that the history has already.
        selected: turn → its selected child, as the history has them.
    """

    def __init__(
        self, known: Iterable[Node] = (), selected: Mapping[str, str] | None = None
    ) -> None:
        self._lock = threading.Lock()
        self._fields: ConversationFields | None = None
        self._fields_changed = False
        self._nodes = {node.id: node for node in known}
        self._streaming: set[str] = set()
        self._selected = dict(selected or {})
        self._changed: set[str] = set()
        self._reselected: set[str] = set()
        self._deltas: dict[str, list[TextDelta]] = {}
        self._written: dict[str, int] = {}
        """Reply → how many of its deltas are written."""
        self._lengths: dict[str, int] = {}
        """Reply → characters in all its deltas."""
        self._complete = False
        self.saved_ids: dict[str, str] = {}
        """Turn → its id in the history where another program had taken its own. For the writer."""
        self.saved_nodes = dict(self._nodes)
        """The turns as the history has them. For the writer."""

    @property
    def changed(self) -> bool:
        """Whether there is something to write. A conversation without a turn is not written."""
        with self._lock:
            return bool(self._nodes) and (
                self._complete
                or self._fields_changed
                or bool(self._changed or self._reselected or self._unwritten())
            )

    @property
    def streaming(self) -> str:
        """Id of the conversation while a reply of it is being written; else empty."""
        with self._lock:
            return self._fields.id if self._streaming and self._fields is not None else ""

    @property
    def extent(self) -> tuple[int, int, int]:
        """The extent of what this object has saved, to compare with `queries.extent`."""
        saved = list(self.saved_nodes.values())
        ended = sum(run.reason is not None for node in saved for run in node.generations)
        return len(saved), sum(len(node.text.encode()) for node in saved), ended

    def _unwritten(self) -> list[str]:
        return [
            reply for reply, deltas in self._deltas.items()
            if len(deltas) > self._written.get(reply, 0)
        ]  # fmt: skip

    # ------------------------------------------------------------- called by the front end

    def collect(self, chat: Conversation) -> None:
        """Add every difference between the conversation and the last snapshot of it."""
        fields = ConversationFields(
            chat.id, chat.created, chat.first_line[:200], chat.system, chat.selected_child(None)
        )
        nodes = chat.nodes()
        with self._lock:
            if fields != self._fields:
                self._fields, self._fields_changed = fields, True
            for node in nodes:
                self._collect_node(node, streaming=chat.is_streaming(node.id))
                child = chat.selected_child(node.id)
                if child is not None and child != self._selected.get(node.id):
                    self._selected[node.id] = child
                    self._reselected.add(node.id)

    def _collect_node(self, node: Node, *, streaming: bool) -> None:
        old = self._nodes.get(node.id)
        if streaming:
            node = self._collect_streaming(node)
        elif node.id in self._streaming:
            # The whole text is written now, which makes its deltas obsolete.
            self._streaming.discard(node.id)
            for about in (self._deltas, self._written, self._lengths):
                about.pop(node.id, None)
        if old is not node and old != node:
            self._nodes[node.id] = node
            self._changed.add(node.id)

    def _collect_streaming(self, node: Node) -> Node:
        """Add a delta for text that `append` was not given; return the node without this run."""
        base = _without_current_run(node)
        self._streaming.add(node.id)
        deltas = self._deltas.setdefault(node.id, [])
        known = self._lengths.get(node.id, 0)
        new = node.text[len(base.text) + known :]
        if new:
            self._lengths[node.id] = known + len(new)
            tokens = node.generations[-1].tokens - sum(delta.tokens for delta in deltas)
            deltas.append(TextDelta(new, tokens))
        return base

    def append(self, reply: str, delta: TextDelta) -> bool:
        """Add a delta of a streaming reply. False: `collect` has not seen the reply yet."""
        with self._lock:
            if reply not in self._streaming:
                return False
            self._deltas[reply].append(delta)
            self._lengths[reply] = self._lengths.get(reply, 0) + len(delta.text)
            return True

    # ----------------------------------------------------------- called by the writer thread

    def pop(self) -> ChangeSet | None:
        """Return what is to be written, now counted as written; None for nothing."""
        with self._lock:
            if self._fields is None or not self._nodes:
                return None
            complete, self._complete = self._complete, False
            ids = [i for i in self._nodes if complete or i in self._changed]
            changes = ChangeSet(
                self._fields,
                complete,
                tuple(self._nodes[i] for i in ids),
                {i: self._full_text(i) for i in ids if i in self._streaming},
                dict(self._selected)
                if complete
                else {i: self._selected[i] for i in self._reselected},
                {reply: self._join(reply) for reply in self._unwritten()},
            )
            nothing = not (
                complete or self._fields_changed or ids or changes.selected or changes.deltas
            )
            self._changed.clear()
            self._reselected.clear()
            self._fields_changed = False
            return None if nothing else changes

    def _full_text(self, reply: str) -> str:
        return self._nodes[reply].text + "".join(delta.text for delta in self._deltas[reply])

    def _join(self, reply: str) -> TextDelta:
        """Join the unwritten deltas of a reply into one, and count it as written."""
        deltas, begin = self._deltas[reply], self._written.get(reply, 0)
        new = deltas[begin:]
        joined = TextDelta("".join(d.text for d in new), sum(d.tokens for d in new))
        deltas[begin:] = [joined]
        self._written[reply] = len(deltas)
        return joined

    def push_back(self, changes: ChangeSet) -> None:
        """Undo `pop`: the transaction failed, so these changes are still to be written."""
        with self._lock:
            self._fields_changed = True
            self._complete = self._complete or changes.complete
            self._changed.update(node.id for node in changes.nodes)
            self._reselected.update(changes.selected)
            for reply in changes.deltas:
                if self._written.get(reply):
                    self._written[reply] -= 1

    def mark_unsaved(self) -> None:
        """Have the whole conversation written: the history no longer has any of it."""
        with self._lock:
            self._complete = True
            self._written.clear()
            self.saved_ids.clear()
            self.saved_nodes.clear()


def _without_current_run(node: Node) -> Node:
    """A streaming reply as it was before the run that is writing it."""
    run = node.generations[-1]
    return msgspec.structs.replace(
        node,
        text=node.text[: run.start],
        ids=(),
        generations=(*node.generations[:-1], msgspec.structs.replace(run, tokens=0)),
    )
