"""What of a conversation is on its way to the history.

A conversation changes in a front end's thread and is written in another. In between there are
copies: turns are immutable, so that copying one is remembering it. They stay while the chat is
open, and can be written again should the file go away.
"""

import threading
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from gptterm.conversation.nodes import Node
from gptterm.conversation.tree import Conversation


class Header(NamedTuple):
    """All but the turns."""

    id: str
    created: float
    first_line: str
    system: str
    open_root: str | None


class Piece(NamedTuple):
    """Text that a reply grew by."""

    text: str
    tokens: int


class Batch(NamedTuple):
    """What of one conversation is to be written in one transaction."""

    header: Header
    whole: bool
    """Everything, not only what has changed."""
    nodes: tuple[Node, ...]
    """Parents before their children."""
    growing: dict[str, str]
    """Of the nodes, those that are being written, which are here without the text of this run;
    and their whole texts."""
    opened: dict[str, str]
    """Turn → which of its children is open."""
    pieces: dict[str, Piece]
    """Reply → what it grew by."""


class Journal:
    """The copies of one conversation. Every method may be called from any thread.

    Args:
        known: the turns that are in the history already.
        opened: turn → which of its children is open there.
    """

    def __init__(self, known: Iterable[Node] = (), opened: Mapping[str, str] | None = None) -> None:
        self._lock = threading.Lock()
        self._header: Header | None = None
        self._header_changed = False
        self._nodes = {node.id: node for node in known}
        self._growing: set[str] = set()
        self._opened = dict(opened or {})
        self._changed: set[str] = set()
        self._reopened: set[str] = set()
        self._pieces: dict[str, list[Piece]] = {}
        self._written: dict[str, int] = {}
        """Reply → how many of its pieces are."""
        self._lengths: dict[str, int] = {}
        """Reply → characters of all its pieces."""
        self._whole = False
        self.names: dict[str, str] = {}
        """Turn → its id in the history, where another program had taken that. The writer's."""
        self.saved = dict(self._nodes)
        """The turns as the history has them. The writer's."""

    @property
    def changed(self) -> bool:
        """Whether there is something to write. Without a turn there is not."""
        with self._lock:
            return bool(self._nodes) and (
                self._whole
                or self._header_changed
                or bool(self._changed or self._reopened or self._unwritten())
            )

    @property
    def extent(self) -> tuple[int, int, int]:
        """How much the history has for all that is known here; see `reading.extent`."""
        saved = list(self.saved.values())
        ended = sum(run.reason is not None for node in saved for run in node.generations)
        return len(saved), sum(len(node.text.encode()) for node in saved), ended

    def _unwritten(self) -> list[str]:
        return [
            reply for reply, pieces in self._pieces.items()
            if len(pieces) > self._written.get(reply, 0)
        ]  # fmt: skip

    # ----------------------------------------------------------------- the front end's side

    def compare(self, chat: Conversation) -> None:
        """Note everything in which the conversation differs from the copy."""
        header = Header(
            chat.id, chat.created, chat.first_line[:200], chat.system, chat.selected_child(None)
        )
        nodes = chat.nodes()
        with self._lock:
            if header != self._header:
                self._header, self._header_changed = header, True
            for node in nodes:
                self._compare_node(node, growing=chat.is_streaming(node.id))
                child = chat.selected_child(node.id)
                if child is not None and child != self._opened.get(node.id):
                    self._opened[node.id] = child
                    self._reopened.add(node.id)

    def _compare_node(self, node: Node, *, growing: bool) -> None:
        old = self._nodes.get(node.id)
        if growing:
            node = self._compare_growing(node)
        elif node.id in self._growing:
            # The whole text is written now; its pieces are of no more use.
            self._growing.discard(node.id)
            for about in (self._pieces, self._written, self._lengths):
                about.pop(node.id, None)
        if old is not node and old != node:
            self._nodes[node.id] = node
            self._changed.add(node.id)

    def _compare_growing(self, node: Node) -> Node:
        """Take what it grew by that `grow` was not told of; return it without all of that."""
        base = _without_run(node)
        self._growing.add(node.id)
        pieces = self._pieces.setdefault(node.id, [])
        known = self._lengths.get(node.id, 0)
        came = node.text[len(base.text) + known :]
        if came:
            self._lengths[node.id] = known + len(came)
            pieces.append(Piece(came, node.generations[-1].tokens - sum(p.tokens for p in pieces)))
        return base

    def grow(self, reply: str, piece: Piece) -> bool:
        """Add to a reply that is being written. False: it is not known yet."""
        with self._lock:
            if reply not in self._growing:
                return False
            self._pieces[reply].append(piece)
            self._lengths[reply] = self._lengths.get(reply, 0) + len(piece.text)
            return True

    # ----------------------------------------------------------------------- the writer's side

    def take(self) -> Batch | None:
        """What is to be written now; None for nothing. It counts as written from here on."""
        with self._lock:
            if self._header is None or not self._nodes:
                return None
            whole, self._whole = self._whole, False
            ids = [i for i in self._nodes if whole or i in self._changed]
            batch = Batch(
                self._header,
                whole,
                tuple(self._nodes[i] for i in ids),
                {i: self._so_far(i) for i in ids if i in self._growing},
                dict(self._opened) if whole else {i: self._opened[i] for i in self._reopened},
                {reply: self._join(reply) for reply in self._unwritten()},
            )
            nothing = not (whole or self._header_changed or ids or batch.opened or batch.pieces)
            self._changed.clear()
            self._reopened.clear()
            self._header_changed = False
            return None if nothing else batch

    def _so_far(self, reply: str) -> str:
        return self._nodes[reply].text + "".join(piece.text for piece in self._pieces[reply])

    def _join(self, reply: str) -> Piece:
        pieces, begin = self._pieces[reply], self._written.get(reply, 0)
        new = pieces[begin:]
        joined = Piece("".join(p.text for p in new), sum(p.tokens for p in new))
        pieces[begin:] = [joined]
        self._written[reply] = len(pieces)
        return joined

    def give_back(self, batch: Batch) -> None:
        """The batch could not be written: it is to be written again."""
        with self._lock:
            self._header_changed = True
            self._whole = self._whole or batch.whole
            self._changed.update(node.id for node in batch.nodes)
            self._reopened.update(batch.opened)
            for reply in batch.pieces:
                if self._written.get(reply):
                    self._written[reply] -= 1

    def start_over(self) -> None:
        """The history knows nothing of this: everything is to be written."""
        with self._lock:
            self._whole = True
            self._written.clear()
            self.names.clear()
            self.saved.clear()


def _without_run(node: Node) -> Node:
    """A reply that is being written as it was before the run that writes it."""
    run = node.generations[-1]
    return msgspec.structs.replace(
        node,
        text=node.text[: run.start],
        ids=(),
        generations=(*node.generations[:-1], msgspec.structs.replace(run, tokens=0)),
    )
