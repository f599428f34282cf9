"""Export of conversations: Markdown, HTML and text of the selected path, JSON of the whole tree.

JSON round-trips: every turn with its token ids, its runs and the scores of its tokens. The other
formats are for readers.
"""

import math
import re
import reprlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from gptterm.conversation.attribution import generation_summary, speaker
from gptterm.conversation.nodes import Node, parse_timestamp
from gptterm.conversation.score_export import TokenObject, from_objects, to_objects
from gptterm.conversation.tree import Conversation
from gptterm.errors import GpttermError, UsageError
from gptterm.own_files import write_own
from gptterm.terminal import one_line

Format = Literal["markdown", "json", "text", "html"]
SUFFIXES: Mapping[str, Format] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".json": "json",
    ".txt": "text",
    ".html": "html",
    ".htm": "html",
}
FORMAT = "gptterm conversation"
VERSION = 1

# ----------------------------------------------------------------------------------- files


def format_of(path: Path) -> Format:
    """Return the format for a file's suffix.

    Raises:
        UsageError: unknown suffix.
    """
    try:
        return SUFFIXES[path.suffix.lower()]
    except KeyError:
        raise UsageError(
            f"{one_line(str(path))} must end in .md (Markdown), .html, .txt (text) or .json "
            "(everything)"
        ) from None


def export(chat: Conversation, path: Path, *, overwrite: bool = False) -> None:
    """Write `chat` to a file with mode 0600, in the format of its suffix.

    The write is atomic: a failure leaves no partial file.

    Raises:
        UsageError: unknown suffix, or the file exists and `overwrite` is False.
        GpttermError: the file cannot be written.
    """
    write_export(path, render(chat, format_of(path)), overwrite=overwrite)


def write_export(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a text as `export` does, which see."""
    shown = one_line(str(path))
    try:
        write_own(path, text.encode(), overwrite=overwrite)
    except FileExistsError:
        raise UsageError(
            f"{shown} exists already and was not changed: choose another name"
        ) from None
    except ValueError as error:  # a null byte in the name
        raise UsageError(f"{shown} is not a valid file name") from error
    except OSError as error:
        raise GpttermError(f"cannot write {shown}: {error.strerror or error}") from error


def render(chat: Conversation, form: Format) -> str:
    """Render the conversation in a format."""
    match form:
        case "markdown":
            return to_markdown(chat)
        case "html":
            from gptterm.conversation.html import to_html

            return to_html(chat)
        case "text":
            return to_text(chat)
        case "json":
            return to_json(chat)


# ------------------------------------------------------------------------------------ JSON


class _File(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    # Names of version 1 of the format.
    rename={"selected_root": "open_root", "selected_children": "open_children"},
):
    format: Literal["gptterm conversation"]
    version: int
    id: str
    created: float
    system: str
    selected_root: str | None
    selected_children: dict[str, str]
    nodes: tuple[Node, ...]
    title: str = ""
    """Given by a user. Left out where empty: older versions do not know it."""
    scores: dict[str, tuple[TokenObject, ...]] = {}
    """Turn → the scores of its tokens, likewise."""


def to_json(chat: Conversation) -> str:
    """Render all turns, and which are selected."""
    nodes = chat.nodes()
    selected = ((node.id, chat.selected_child(node.id)) for node in nodes)
    data = _File(
        format="gptterm conversation",
        version=VERSION,
        id=chat.id,
        created=chat.created,
        system=chat.system,
        selected_root=chat.selected_child(None),
        selected_children={parent: child for parent, child in selected if child is not None},
        nodes=tuple(msgspec.structs.replace(node, scores=b"") for node in nodes),
        scores={node.id: to_objects(node) for node in nodes if node.scores},
        title=chat.title if chat.has_title else "",
    )
    encoded = msgspec.json.encode(without_infinities(msgspec.to_builtins(data)))
    return msgspec.json.format(encoded, indent=1).decode() + "\n"


def from_json(data: bytes | str) -> Conversation:
    """Read a conversation that `to_json` wrote.

    A reply that was being streamed at the time is partial, and has no end.

    Raises:
        ValueError: not such an export; the message is one line.
    """
    return from_builtins(decode_json(data))


def from_builtins(raw: object) -> Conversation:
    """The same, decoded.

    Raises:
        ValueError: as above.
    """
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise ValueError("not a conversation that gptterm exported")
    if raw.get("version") != VERSION:
        version = reprlib.repr(raw.get("version"))
        raise ValueError(f"written in version {version} of the format, not {VERSION}")
    _repair_timestamps(raw)
    # Not strict: that is how "-inf" becomes a number again.
    file = msgspec.convert(raw, _File, strict=False)
    return Conversation.restore(
        id=file.id,
        created=file.created,
        system=file.system,
        nodes=[
            msgspec.structs.replace(node, scores=from_objects(file.scores.get(node.id, ())))
            for node in file.nodes
        ],
        selected_children=file.selected_children,
        selected_root=file.selected_root,
        title=file.title,
    )


def decode_json(data: bytes | str) -> Any:
    """Decode JSON.

    Raises:
        ValueError: not JSON, or nested too deeply; the message is one line.
    """
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        raise ValueError(f"not JSON: {error}") from error
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _repair_timestamps(raw: dict[str, Any]) -> None:
    """Replace invalid timestamps by the previous one, or by the first valid one."""
    nodes = raw.get("nodes")
    parts = [raw, *(nodes if isinstance(nodes, list) else [])]
    parts = [part for part in parts if isinstance(part, dict)]
    times = [parse_timestamp(part.get("created")) for part in parts]
    last = next((at for at in times if at is not None), time.time())
    for part, at in zip(parts, times, strict=True):
        last = part["created"] = last if at is None else at


def without_infinities(value: object) -> object:
    """Replace infinities, such as the bias of a banned token, by their names: JSON has none."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: without_infinities(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_infinities(item) for item in value]
    return value


# ------------------------------------------------------------------------------- for readers


def to_markdown(chat: Conversation) -> str:
    """Render the selected path. Turns are verbatim, since chat models write Markdown."""
    parts = [f"# {_escape_markdown(one_line(chat.title))}"] if chat.title else []
    if chat.system:
        parts += ["## System", _close_code_block(chat.system)]
    for node in map(chat.node, chat.path()):
        heading = " · ".join(filter(None, (speaker(node), one_line(node.name))))
        parts += [f"## {_escape_markdown(heading)}", _quoted(node.reasoning)]
        parts.append(_close_code_block(node.text))
        if node.generations:
            parts.append(f"<sub>{_escape_markdown(generation_summary(node.generations))}</sub>")
    return "\n\n".join(part for part in parts if part) + "\n"


def to_text(chat: Conversation) -> str:
    """Render the selected path as plain text. A title that is the first line is left out."""
    parts = [one_line(chat.title)] if chat.has_title else []
    parts += [f"System:\n{chat.system}"] if chat.system else []
    parts += [f"{speaker(node)}:\n{node.text}" for node in map(chat.node, chat.path())]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _quoted(reasoning: str) -> str:
    """Quote what a model wrote before its answer, which is told apart so."""
    return "\n".join(f"> {_escape_markdown(line)}".rstrip() for line in reasoning.splitlines())


def _escape_markdown(text: str) -> str:
    """Escape `text` so that Markdown shows exactly these characters."""
    return re.sub(r"([\\`*_\[\]<>#&|~])", r"\\\1", text)


def _close_code_block(text: str) -> str:
    """Close a code block that `text` leaves open, which would swallow what follows."""
    fence = ""
    for line in text.splitlines():
        found = re.match(r" {0,3}(`{3,}|~{3,})(.*)$", line)
        if found is None:
            continue
        marks, info = found.groups()
        if not fence:
            # An info string with backticks in it makes the line ordinary text.
            fence = "" if marks[0] == "`" and "`" in info else marks
        elif marks.startswith(fence) and not info.strip():
            fence = ""
    return f"{text.rstrip()}\n{fence}" if fence else text
