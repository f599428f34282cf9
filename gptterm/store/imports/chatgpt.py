"""ChatGPT's `conversations.json`: a tree of messages, read as its site shows it."""

import itertools
import json
import re
from collections.abc import Iterator

from gptterm.json_values import Object, as_list, as_object, as_objects, as_text
from gptterm.store.imports.fields import as_id, attachment, file_name, kind, when, with_attachments
from gptterm.store.imports.parsed_chat import Message, ParsedChat, UnreadableChatError

ORIGIN = "ChatGPT"
_HIDDEN = ("is_visually_hidden_from_conversation", "is_visually_hidden_from_user_message")
_TEXTS = ("text", "multimodal_text")
# Marks of the private use area: U+E200, fields separated by U+E202, U+E201. Other marks enclose
# the cited text.
_MARK = re.compile("\ue200([^\ue200\ue201\n]*)\ue201|\ue200[^\\s\ue200\ue201]*\\Z")
"""The second form is an unfinished mark at the end of a stopped reply."""
_CLOSING = "\n.,;:!?)]"
_OTHER_MARKS = re.compile("[\ue200-\ue206]")
_TITLED_MARKS = ("url", "link", "link_title")
_MOST_LOST, _MOST_ANCESTORS = 100, 10_000
"""Bounds of the search for lost parents."""


def matches(raw: Object) -> bool:
    """Whether an object is a chat of this format."""
    return "mapping" in raw


def parse(raw: Object) -> ParsedChat:
    """Parse one chat.

    Raises:
        UnreadableChatError: It has no messages.
    """
    mapping = raw["mapping"]
    if not isinstance(mapping, dict):
        raise UnreadableChatError(f"it has no messages: mapping is {kind(mapping)}")
    entries = {name: as_object(entry) for name, entry in mapping.items()}
    parents, ranks = _tree(entries)
    model = as_text(raw.get("default_model_slug"))
    messages = [
        _message(name, parents[name], as_object(entry.get("message")), model)
        for name, entry in sorted(entries.items(), key=lambda item: ranks.get(item[0], 0))
    ]
    current = as_text(raw.get("current_node"))
    created = when(raw.get("create_time"))
    return ParsedChat(
        origin=ORIGIN,
        messages=messages,
        id=as_id(raw.get("conversation_id")) or as_id(raw.get("id")),
        key=str(created or ""),
        title=as_text(raw.get("title")),
        created=created,
        current=current if current in entries else next(reversed(entries), None),
        damaged=sum(map(_is_damaged, mapping.values())),
    )


def _tree(entries: dict[str, Object]) -> tuple[dict[str, str | None], dict[str, int]]:
    """Return the parent of each entry and its rank among its siblings."""
    listed: dict[str, str] = {}
    ranks: dict[str, int] = {}
    for name, entry in entries.items():
        for number, child in enumerate(as_list(entry.get("children"))):
            if isinstance(child, str) and child not in listed:
                listed[child], ranks[child] = name, number
    given = {name: as_text(entry.get("parent")) for name, entry in entries.items()}
    parents = {name: parent if parent in entries else None for name, parent in given.items()}
    lost = [name for name in listed if name in entries and parents[name] is None]
    for name in lost[:_MOST_LOST]:
        # Its parent field is damaged: take the entry that lists it, unless that makes a cycle.
        if name not in itertools.islice(_ancestors(listed[name], parents), _MOST_ANCESTORS):
            parents[name] = listed[name]
    return parents, ranks


def _ancestors(name: str | None, parents: dict[str, str | None]) -> Iterator[str]:
    while name is not None:
        yield name
        name = parents[name]


def _is_damaged(entry: object) -> bool:
    """Whether an entry may have lost its text."""
    if not isinstance(entry, dict):
        return True
    message = entry.get("message")
    if message is None:
        return False
    said = as_object(message)
    return not (
        isinstance(said.get("author"), dict) and isinstance(said.get("content"), dict | str)
    )


def _message(name: str, parent: str | None, raw: Object, model: str) -> Message:
    metadata = as_object(raw.get("metadata"))
    created = when(raw.get("create_time"))
    role = as_text(as_object(raw.get("author")).get("role"))
    # Only true hides a message; other values are damage.
    if not any(metadata.get(mark) is True for mark in _HIDDEN):
        match role:
            case "user":
                text = _user_text(raw.get("content"), metadata)
                return Message(name, parent, "user", text, created)
            case "assistant" if as_text(raw.get("recipient")) in ("", "all"):
                text = _reply_text(raw.get("content"))
                slug = as_text(metadata.get("model_slug")) or model
                return Message(name, parent, "assistant", text, created, slug)
    return Message(name, parent, None, "", created)


def _user_text(content: object, metadata: Object) -> str:
    """Return the text of a user\'s message, with images in place and attachments named."""
    files = as_objects(metadata.get("attachments"))
    names = {as_text(file.get("id")): file_name(file) for file in files}
    shown: set[str] = set()
    text = "\n\n".join(_parts(content, names, shown))
    others = [file for file in files if as_text(file.get("id")) not in shown]
    return with_attachments(text, (attachment(file_name(file)) for file in others))


def _reply_text(content: object) -> str:
    fields = as_object(content)
    if fields.get("content_type") == "code":
        return f"```\n{as_text(fields.get('text'))}\n```"
    return without_marks("\n\n".join(_parts(content, {}, set())))


def _parts(content: object, names: dict[str, str], shown: set[str]) -> Iterator[str]:
    """Yield the texts of a message's parts.

    Args:
        names: names of the attached files by id.
        shown: collects the ids of the files that are among the parts.
    """
    if isinstance(content, str):
        yield content
        return
    fields = as_object(content)
    sort = fields.get("content_type")
    if isinstance(sort, str) and sort not in _TEXTS:
        return  # reasoning and tools, which the site does not show
    parts = fields.get("parts", fields.get("text"))
    transcribed = any(
        part.get("content_type") == "audio_transcription" for part in as_objects(parts)
    )
    for part in parts if isinstance(parts, list) else [parts]:
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            sort = as_text(part.get("content_type"))
            if sort == "audio_transcription":
                yield as_text(part.get("text"))
            elif not (transcribed and "audio" in sort):
                pointer = as_text(part.get("asset_pointer")).rpartition("/")[2]
                shown.add(pointer)
                yield attachment(names.get(pointer, ""), _sort_of(sort))


def _sort_of(content_type: str) -> str:
    return (content_type or "attachment").removesuffix("_asset_pointer").replace("_", " ")


# ----------------------------------------------------------------------------------- marks


def without_marks(text: str) -> str:
    """Remove citation marks from a reply; marks that stand for a text become the text."""
    if _OTHER_MARKS.search(text) is None:
        return text
    found, at = "", 0
    for mark in _MARK.finditer(text):
        found += text[at : mark.start()]
        at = mark.end()
        shown = _shown((mark[1] or "").split("\ue202"))
        if not shown and (at == len(text) or text[at] in _CLOSING):
            found = found.rstrip(" \t")
        found += shown
    return _OTHER_MARKS.sub("", found + text[at:])


def _shown(fields: list[str]) -> str:
    """Return the text that a mark stands for; empty for none."""
    if fields[0] in _TITLED_MARKS and len(fields) > 2:
        return fields[1]
    return _entity(fields[1]) if fields[0] == "entity" and len(fields) > 1 else ""


def _entity(data: str) -> str:
    """Return the name of an entity, the second item of a JSON list."""
    try:
        found = as_list(json.loads(data))
    except (ValueError, RecursionError):
        return ""
    return as_text(found[1]) if len(found) > 1 else ""
