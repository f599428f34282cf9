"""Conversations from files: our own JSON export, and what ChatGPT exports."""

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gptterm.conversation.export import from_json
from gptterm.conversation.nodes import Node
from gptterm.conversation.tree import Conversation, clean
from gptterm.errors import UsageError
from gptterm.terminal import one_line

LARGEST = 2 << 30
"""Bytes of a file that is read."""


class Imported(NamedTuple):
    """A conversation from a file, for `History.add`."""

    chat: Conversation
    title: str | None
    """None: its first line."""


def read_file(path: Path) -> list[Imported]:
    """The conversations in a file: our JSON, ChatGPT's conversations.json, or its .zip.

    Raises:
        UsageError: it cannot be read or is none of these.
    """
    shown = one_line(str(path))
    try:
        found = [each for data in _documents(path) for each in read(data)]
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
            yield archive.read(info)


def read(data: bytes) -> list[Imported]:
    """The conversations in a JSON text.

    Raises:
        ValueError: it is no export of ours or ChatGPT's; the message is one line.
    """
    try:
        raw = msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    if isinstance(raw, dict) and "mapping" not in raw:
        return [Imported(from_json(data), None)]
    del raw
    try:
        theirs = msgspec.json.decode(data, type=list[_Theirs] | _Theirs)
    except msgspec.ValidationError as error:
        raise ValueError(f"neither an export of gptterm nor of ChatGPT ({error})") from error
    return [_convert(each) for each in (theirs if isinstance(theirs, list) else [theirs])]


# --------------------------------------------------------------------------------- ChatGPT


class _Author(msgspec.Struct, frozen=True):
    role: str = ""


class _Message(msgspec.Struct):
    id: str = ""
    author: _Author = _Author()
    create_time: float | None = None
    content: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


class _Entry(msgspec.Struct):
    parent: str | None = None
    message: _Message | None = None


class _Theirs(msgspec.Struct):
    """One conversation: messages by id, each with the one before."""

    mapping: dict[str, _Entry]
    title: str | None = None
    create_time: float | None = None
    current_node: str | None = None
    id: str | None = None
    conversation_id: str | None = None


class _Place(NamedTuple):
    """Where what follows an entry of theirs goes."""

    node: str | None
    """After this turn of ours."""
    user: str | None
    """The turn of the user's that is answered there."""
    text: str
    """What has been said of the answer already."""


def _convert(theirs: _Theirs) -> Imported:
    created = theirs.create_time or 0.0
    nodes, places = _nodes(theirs, created)
    known = {node.id: node for node in nodes}
    opened: dict[str | None, str] = {}
    at = places[theirs.current_node].node if theirs.current_node in places else None
    while at is not None and at in known:
        opened[known[at].parent] = at
        at = known[at].parent
    root = opened.pop(None, None)
    chat = Conversation.restore(
        id=clean(theirs.conversation_id or theirs.id or "") or Conversation().id,
        created=created,
        system="",
        nodes=nodes,
        open_children={parent: child for parent, child in opened.items() if parent is not None},
        open_root=root,
    )
    return Imported(chat, clean(theirs.title or "") or None)


def _nodes(theirs: _Theirs, created: float) -> tuple[list[Node], dict[str, _Place]]:
    """Our turns, and where each of their entries ended up.

    What a model says in several messages, between which it calls tools, is one reply here.
    """
    nodes: dict[str, Node] = {}
    places: dict[str, _Place] = {}
    for name in _parents_first(theirs.mapping):
        entry = theirs.mapping[name]
        place = places.get(entry.parent or "", _Place(None, None, ""))
        role, text = _said(entry.message)
        at = (entry.message.create_time if entry.message else None) or created
        if role == "user":
            nodes[name] = Node(id=name, parent=place.node, role="user", text=text, created=at)
            place = _Place(name, name, "")
        elif role == "assistant":
            user = place.user
            if user is None:  # it greeted first
                user = f"{name}-before"
                nodes[user] = Node(id=user, parent=place.node, role="user", text="", created=at)
            whole = f"{place.text}\n\n{text}" if place.text else text
            nodes[name] = Node(id=name, parent=user, role="assistant", text=whole, created=at)
            place = _Place(name, user, whole)
        places[name] = place
    parts = _unfinished(theirs.mapping, places)
    return [node for node in nodes.values() if node.id not in parts], places


def _unfinished(mapping: dict[str, _Entry], places: dict[str, _Place]) -> set[str]:
    """The replies that only are the beginning of another one, and that nothing else follows."""
    begun, followed = set[str](), set[str]()
    for name, place in places.items():
        before = places.get(mapping[name].parent or "", _Place(None, None, ""))
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
    text = clean(text)
    return (message.author.role, text) if text.strip() else ("", "")


def _part(part: object) -> str:
    if isinstance(part, str):
        return part
    kind = part.get("content_type") if isinstance(part, dict) else None
    if isinstance(part, dict) and kind == "audio_transcription":
        return str(part.get("text") or "")
    return f"[{str(kind or 'attachment').removesuffix('_asset_pointer').replace('_', ' ')}]"
