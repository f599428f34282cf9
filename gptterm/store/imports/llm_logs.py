"""`llm logs --json`: a list of prompts and responses of several conversations."""

from collections.abc import Sequence
from typing import NamedTuple

from gptterm.json_values import Object, as_objects, as_text
from gptterm.store.imports.fields import as_id, attachment, file_name, when, with_attachments
from gptterm.store.imports.parsed_chat import Message, ParsedChat

ORIGIN = "llm"


class Row(NamedTuple):
    """A prompt and its response."""

    id: str
    conversation: str
    name: str
    """Name of the conversation: by default the beginning of its first prompt."""
    model: str
    system: str
    prompt: str
    response: str
    created: float | None


def matches(raw: Object) -> bool:
    """Whether an object is a row of the logs."""
    return "prompt" in raw and "response" in raw and (
        "conversation_id" in raw or "datetime_utc" in raw
    )  # fmt: skip


def parse(raw: Object) -> Row:
    """Parse one row."""
    files = [
        attachment(file_name(each) or as_text(each.get("url")))
        for each in as_objects(raw.get("attachments"))
    ]
    files += [
        attachment(source)
        for each in as_objects(raw.get("prompt_fragments"))
        if (source := as_text(each.get("source")))
    ]
    return Row(
        as_id(raw.get("id")),
        as_id(raw.get("conversation_id")),
        as_text(raw.get("conversation_name")),
        as_text(raw.get("model")),
        as_text(raw.get("system")),
        with_attachments(as_text(raw.get("prompt")), files),
        as_text(raw.get("response")),
        when(raw.get("datetime_utc")),
    )


def chats(rows: Sequence[Row]) -> list[ParsedChat]:
    """Group rows into conversations."""
    found: dict[str | int, list[Row]] = {}
    for number, row in enumerate(rows):
        found.setdefault(row.conversation or row.id or number, []).append(row)
    return [_chat(as_text(name), of_one) for name, of_one in found.items()]


def _chat(name: str, rows: list[Row]) -> ParsedChat:
    # Ids of equal times sort by millisecond. If a time is missing, the rows stay in order.
    if all(row.created is not None for row in rows):
        rows = sorted(rows, key=lambda row: (row.created, row.id))
    messages: list[Message] = []
    for number, row in enumerate(rows):
        key = row.id or f"m{number}"
        before = messages[-1].id if messages else None
        messages += [
            Message(f"{key}-prompt", before, "user", row.prompt, row.created),
            Message(f"{key}-response", f"{key}-prompt", "assistant", row.response, row.created,
                    row.model),
        ]  # fmt: skip
    title = next((row.name for row in rows if row.name), "")
    begun = " ".join(rows[0].prompt.split())
    automatic = begun.startswith(" ".join(title.rstrip("….").split()))
    return ParsedChat(
        origin=ORIGIN,
        messages=messages,
        id=name,
        title="" if automatic else title,
        created=rows[0].created,
        system="\n\n".join(dict.fromkeys(row.system for row in rows if row.system)),
    )
