"""Typed access to exported chats: a value of the wrong type reads as an empty one."""

import datetime
import posixpath
from collections.abc import Iterable, Iterator

from gptterm.conversation.nodes import parse_timestamp
from gptterm.json_values import Object, as_list, as_object, as_text


def as_id(value: object) -> str:
    """Return an id, which may be an integer, as a string; empty for none."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return as_text(value)


def unique_ids(values: Iterable[object]) -> list[str]:
    """Return unique ids for the messages of a list; missing and duplicate ones are derived from the
    position."""
    found: dict[str, None] = {}
    for number, value in enumerate(values):
        name = as_id(value)
        found[name if name and name not in found else f"{name}~{number}"] = None
    return list(found)


def when(value: object) -> float | None:
    """Parse a time (seconds, milliseconds or ISO 8601) into seconds since 1970; None if invalid."""
    found = parse_timestamp(value)
    if found is not None or not isinstance(value, str):
        return found
    try:
        moment = datetime.datetime.fromisoformat(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=datetime.UTC)
        return parse_timestamp(moment.timestamp())
    except (ValueError, OverflowError):
        return None


def first_time(*values: object) -> float | None:
    """Return the first valid time of several values."""
    return next((found for value in values if (found := when(value)) is not None), None)


def kind(value: object) -> str:
    """JSON's name for the type of a value."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")


# ------------------------------------------------------------------------------ text, files

_IMAGES = ("image", "image_url", "input_image", "image_file", "image_asset_pointer")
_FILES = ("file", "input_file", "document", "attachment", "file_url")
_AUDIO = ("audio", "input_audio", "video", "video_url")
_HIDDEN = ("thinking", "reasoning", "redacted_thinking", "tool_use", "tool_result", "tool-call",
           "tool_call", "tool-result", "function_call")  # fmt: skip


def content_text(content: object) -> str:
    """Return the text of a message's content, a string or a list of parts.

    Images and files become a line each. Reasoning and tool calls are left out.
    """
    if isinstance(content, dict):
        content = content.get("parts", [content])
    if isinstance(content, list):
        return "\n\n".join(filter(None, map(_part_text, content)))
    return as_text(content)


def _part_text(part: object) -> str:
    if not isinstance(part, dict):
        return as_text(part)
    sort = as_text(part.get("type"))
    if sort in _HIDDEN:
        return ""
    if sort in _IMAGES or "image_url" in part:
        return attachment(file_name(part), "image")
    if sort in _AUDIO:
        spoken = as_text(as_object(part.get(sort)).get("transcript"))
        return spoken or attachment(file_name(part), sort.removeprefix("input_").split("_")[0])
    if sort in _FILES:
        return attachment(file_name(part))
    texts = (part.get(name) for name in ("text", "content", "value", "refusal"))
    return next((text for text in texts if isinstance(text, str)), "")


def attachment(name: str, sort: str = "attachment") -> str:
    """Return the line that stands for an image or a file."""
    shown = " ".join(name.split())[:200]
    return f"[{sort}: {shown}]" if shown else f"[{sort}]"


def with_attachments(text: str, attachments: Iterable[str]) -> str:
    """Append the lines for attachments to a text."""
    return "\n\n".join(filter(None, (text, "\n".join(attachments))))


_NAMES = ("name", "file_name", "filename", "fileName", "title", "path", "file_path",
          "fileIdentifier")  # fmt: skip


def file_name(file: object) -> str:
    """Return the file name in the description of a file; empty for none."""
    for described in _descriptions(file):
        for name in _NAMES:
            if found := as_text(described.get(name)).strip():
                return posixpath.basename(found.replace("\\", "/").rstrip("/")) or found
    return ""


def _descriptions(file: object) -> Iterator[Object]:
    described = as_object(file)
    yield described
    yield from (value for value in described.values() if isinstance(value, dict))


def file_lines(files: object, sort: str = "attachment") -> list[str]:
    """Return a line for each file in a list of descriptions or names."""
    return [
        attachment(as_text(file) or file_name(file), sort)
        for file in as_list(files)
        if isinstance(file, dict | str)
    ]
