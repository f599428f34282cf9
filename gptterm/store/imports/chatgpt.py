"""ChatGPT's `conversations.json`: messages by id in a tree, shown as its site shows them."""

import itertools
import json
import re
from collections.abc import Iterator

from gptterm.store.imports.fields import (
    Object,
    as_id,
    as_list,
    as_object,
    as_objects,
    as_text,
    attachment,
    file_name,
    kind,
    when,
    with_attachments,
)
from gptterm.store.imports.parsed_chat import Message, ParsedChat, UnreadableChatError

ORIGIN = "ChatGPT"
_HIDDEN = ("is_visually_hidden_from_conversation", "is_visually_hidden_from_user_message")
_TEXTS = ("text", "multimodal_text")
# In the private use area: a mark begins with U+E200, its fields are apart by U+E202, it ends
# with U+E201. Others enclose the text that is cited.
_MARK = re.compile("\ue200([^\ue200\ue201\n]*)\ue201|\ue200[^\\s\ue200\ue201]*\\Z")
"""The second form is one that was being written when the reply was stopped."""
_CLOSING = "\n.,;:!?)]"
_OTHER_MARKS = re.compile("[\ue200-\ue206]")
_TITLED_MARKS = ("url", "link", "link_title")
_MOST_LOST, _MOST_ANCESTORS = 100, 10_000
"""Parents that are looked for, and entries that are looked at for each."""


def matches(raw: Object) -> bool:
    """Whether an object is a chat of this format."""
    return "mapping" in raw


def parse(raw: Object) -> ParsedChat:
    """Parse one chat.

    Raises:
        UnreadableChatError: its messages are not there.
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
    """The parent of each entry, and its place among its siblings."""
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
        # Its parent is damaged: it is the one that lists it, unless that leads in a circle.
        if name not in itertools.islice(_ancestors(listed[name], parents), _MOST_ANCESTORS):
            parents[name] = listed[name]
    return parents, ranks


def _ancestors(name: str | None, parents: dict[str, str | None]) -> Iterator[str]:
    while name is not None:
        yield name
        name = parents[name]


def _is_damaged(entry: object) -> bool:
    """Whether an entry may have a text that cannot be found in it."""
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
    # Any value but true is damage, not a reason to hide what was said.
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
    """Text of the user's message; attached files are named, images in their place."""
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
    """The texts of a message's parts.

    Args:
        names: of the files that are attached, by their ids.
        shown: the ids of those that have a part are added to it.
    """
    if isinstance(content, str):
        yield content
        return
    fields = as_object(content)
    sort = fields.get("content_type")
    if isinstance(sort, str) and sort not in _TEXTS:
        return  # thoughts, tools, what the site does not show
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
    """A reply without its marks for citations; of those that stand for a text, the text."""
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
    """The text that a mark stands for; empty for none."""
    if fields[0] in _TITLED_MARKS and len(fields) > 2:
        return fields[1]
    return _entity(fields[1]) if fields[0] == "entity" and len(fields) > 1 else ""


def _entity(data: str) -> str:
    """The name of a person or place: the second of a list in JSON."""
    try:
        found = as_list(json.loads(data))
    except (ValueError, RecursionError):
        return ""
    return as_text(found[1]) if len(found) > 1 else ""
