"""Conversations from files: our own JSON export, and what ChatGPT exports."""

import time
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gptterm.conversation.export import decode_json, from_json
from gptterm.conversation.nodes import Node, parse_timestamp
from gptterm.conversation.tree import Conversation, clean_text
from gptterm.errors import UsageError
from gptterm.store.history import History
from gptterm.terminal import one_line

LARGEST = 2 << 30
"""Bytes of a file that is read."""


class Imported(NamedTuple):
    """What came of importing a file."""

    ids: tuple[str, ...]
    """Of all its conversations."""
    new: int
    """How many of them the history did not have, or not all of."""

    def __str__(self) -> str:
        known = len(self.ids) - self.new
        here = "was here already" if known == 1 else "were here already"
        if not self.new:
            return f"nothing is new: {_chats(known)} {here}"
        return f"imported {_chats(self.new)}" + (f", {known} {here}" if known else "")


def _chats(number: int) -> str:
    return "1 chat" if number == 1 else f"{number} chats"


def import_file(history: History, path: Path) -> Imported:
    """Add the conversations in a file to the history.

    Raises:
        UsageError: it cannot be read or has none.
        HistoryError: they cannot be kept.
    """
    chats = read_file(path)
    new = sum(history.add(chat) > 0 for chat in chats)
    return Imported(tuple(chat.id for chat in chats), new)


def read_file(path: Path) -> list[Conversation]:
    """The conversations in a file: our JSON, ChatGPT's conversations.json, or its .zip.

    Those in which nothing was said are left out.

    Raises:
        UsageError: it cannot be read or is none of these.
    """
    shown = one_line(str(path))
    try:
        found = [chat for data in _documents(path) for chat in read(data) if len(chat)]
    except OSError as error:
        raise UsageError(f"cannot read {shown}: {error.strerror or error}") from error
    except (ValueError, zipfile.BadZipFile) as error:
        raise UsageError(f"{shown}: {one_line(str(error))}") from error
    if not found:
        raise UsageError(f"{shown} has no conversation in it")
    return found


def _documents(path: Path) -> Iterator[bytes]:
    """The JSON texts of a file; in a .zip, `conversations.json` and its parts."""
    if not zipfile.is_zipfile(path):
        if path.stat().st_size > LARGEST:
            raise ValueError("too large")
        yield path.read_bytes()
        return
    with zipfile.ZipFile(path) as archive:
        parts = [
            info for info in archive.infolist()
            if (name := info.filename.rpartition("/")[2]).startswith("conversations")
            and name.endswith(".json")
        ]  # fmt: skip
        if sum(info.file_size for info in parts) > LARGEST:
            raise ValueError("too large")
        for info in sorted(parts, key=lambda info: info.filename):
            try:
                yield archive.read(info)
            except (RuntimeError, EOFError, zlib.error) as error:  # encrypted, packed otherwise
                raise ValueError(f"cannot be unpacked: {error}") from error


def read(data: bytes) -> list[Conversation]:
    """The conversations in a JSON text.

    Raises:
        ValueError: it is no export of ours or ChatGPT's; the message is one line.
    """
    raw = decode_json(data)
    if isinstance(raw, dict) and "mapping" not in raw:
        return [from_json(data)]
    try:
        theirs = msgspec.convert(raw, list[_Theirs] | _Theirs)
    except msgspec.ValidationError as error:
        raise ValueError(f"neither an export of gptterm nor of ChatGPT ({error})") from error
    return [_convert(each) for each in (theirs if isinstance(theirs, list) else [theirs])]


# --------------------------------------------------------------------------------- ChatGPT


class _Author(msgspec.Struct, frozen=True):
    role: str = ""


class _Message(msgspec.Struct):
    id: str = ""
    author: _Author = _Author()
    create_time: Any = None
    content: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


class _Entry(msgspec.Struct):
    parent: str | None = None
    message: _Message | None = None


class _Theirs(msgspec.Struct):
    """One conversation: messages by id, each with the one before."""

    mapping: dict[str, _Entry]
    title: str | None = None
    create_time: Any = None
    current_node: str | None = None
    id: str | None = None
    conversation_id: str | None = None


class _Place(NamedTuple):
    """Where what follows an entry of theirs goes."""

    node: str | None
    """After this turn of ours."""
    user: str | None
    """The turn of the user's that is answered there."""
    at: float
    """When the message before was written."""


def _convert(theirs: _Theirs) -> Conversation:
    messages = [entry.message for entry in theirs.mapping.values() if entry.message is not None]
    stamps = (theirs.create_time, *(message.create_time for message in messages))
    times = map(parse_timestamp, stamps)
    created = next(filter(None, times), time.time())
    nodes, places = _nodes(theirs, created)
    known = {node.id: node for node in nodes}
    opened: dict[str | None, str] = {}
    # One that has no id is the same chat, should it be imported again, when the same is said.
    said = repr([(node.id, node.text) for node in nodes])
    name = theirs.conversation_id or theirs.id or uuid.uuid5(uuid.NAMESPACE_OID, said).hex
    at = places[theirs.current_node].node if theirs.current_node in places else None
    while at is not None and at in known:
        opened[known[at].parent] = at
        at = known[at].parent
    root = opened.pop(None, None)
    return Conversation.restore(
        id=clean_text(name),
        created=created,
        system="",
        nodes=nodes,
        selected_children={parent: child for parent, child in opened.items() if parent is not None},
        selected_root=root,
        title=theirs.title or "",
    )


def _nodes(theirs: _Theirs, created: float) -> tuple[list[Node], dict[str, _Place]]:
    """Our turns, and where each of their entries ended up.

    What a model says in several messages, between which it calls tools, is one reply here.
    """
    nodes: dict[str, Node] = {}
    places: dict[str, _Place] = {}
    before: dict[str, str] = {}
    for name in _parents_first(theirs.mapping):
        entry = theirs.mapping[name]
        place = places.get(entry.parent or "", _Place(None, None, created))
        role, text = _said(entry.message)
        at = parse_timestamp(entry.message.create_time if entry.message else None) or place.at
        if role == "user":
            nodes[name] = Node(id=name, parent=place.node, role="user", text=text, created=at)
            place = _Place(name, name, at)
        elif role == "assistant":
            user = place.user
            if user is None:  # it greeted first
                user = f"{name}-before"
                nodes[user] = Node(id=user, parent=place.node, role="user", text="", created=at)
            if place.node is not None and place.node != place.user:
                before[name] = place.node
            nodes[name] = Node(id=name, parent=user, role="assistant", text=text, created=at)
            place = _Place(name, user, at)
        places[name] = place
    parts = _unfinished(theirs.mapping, places)
    return [_whole(node, nodes, before) for node in nodes.values() if node.id not in parts], places


def _whole(node: Node, nodes: dict[str, Node], before: dict[str, str]) -> Node:
    """A turn with what had been said of it in messages before."""
    texts, at = [node.text], node.id
    while at in before:
        at = before[at]
        texts.append(nodes[at].text)
    return msgspec.structs.replace(node, text="\n\n".join(reversed(texts)))


def _unfinished(mapping: dict[str, _Entry], places: dict[str, _Place]) -> set[str]:
    """The replies that only are the beginning of another one, and that nothing else follows."""
    begun, followed = set[str](), set[str]()
    for name, place in places.items():
        before = places.get(mapping[name].parent or "", _Place(None, None, 0.0))
        if before.node in (None, before.user, place.node):
            continue  # it follows nothing, or a turn of the user's, or was left out
        assert before.node is not None
        (begun if place.user == before.user else followed).add(before.node)
    return begun - followed


def _parents_first(mapping: dict[str, _Entry]) -> list[str]:
    """Their ids in such an order; without those that lead in a circle."""
    children: dict[str | None, list[str]] = {}
    for name, entry in mapping.items():
        parent = entry.parent if entry.parent in mapping else None
        children.setdefault(parent, []).append(name)
    order: list[str] = []
    waiting = children.get(None, [])[::-1]
    while waiting:
        name = waiting.pop()
        order.append(name)
        waiting += children.get(name, [])[::-1]
    return order


def _said(message: _Message | None) -> tuple[str, str]:
    """Whose message it is and its text; a role of nobody's for what was not to be seen."""
    if message is None or message.metadata.get("is_visually_hidden_from_user_message"):
        return "", ""
    content = message.content
    match content.get("content_type"):
        case "text" | "multimodal_text":
            parts = content.get("parts")
            text = "\n\n".join(map(_part, parts if isinstance(parts, list) else []))
        case "code" if message.author.role == "assistant":
            text = f"```\n{content.get('text') or ''}\n```"
        case _:
            return "", ""
    text = clean_text(text)
    return (message.author.role, text) if text.strip() else ("", "")


def _part(part: object) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("content_type") if isinstance(part, dict) else None
    if isinstance(part, dict) and kind == "audio_transcription":
        return str(part.get("text") or "")
    return f"[{str(kind or 'attachment').removesuffix('_asset_pointer').replace('_', ' ')}]"
