"""Open WebUI's exported chats: a tree of messages."""

import re

from gptterm.conversation.nodes import TurnRole
from gptterm.json_values import Object, as_list, as_object, as_objects, as_text
from gptterm.store.imports.fields import (
    as_id,
    attachment,
    content_text,
    file_name,
    first_time,
    kind,
    unique_ids,
    when,
    with_attachments,
)
from gptterm.store.imports.parsed_chat import Message, ParsedChat, UnreadableChatError

ORIGIN = "Open WebUI"
_ROLES: dict[str, TurnRole] = {"user": "user", "assistant": "assistant"}
_DETAILS = re.compile(r'<details[^>]*type="(?:reasoning|tool_calls|code_interpreter)"[^>]*>')
_END = "</details>"


def matches(raw: Object) -> bool:
    """Whether an object is a chat of this format, with or without the server's fields."""
    return "chat" in raw or isinstance(raw.get("history"), dict)


def parse(raw: Object) -> ParsedChat:
    """Parse one chat.

    Raises:
        UnreadableChatError: It has no messages.
    """
    chat = as_object(raw.get("chat")) if "chat" in raw else raw
    history = as_object(chat.get("history"))
    model = next((name for name in as_list(chat.get("models")) if isinstance(name, str)), "")
    messages = _messages(history.get("messages"), model) or _messages(chat.get("messages"), model)
    if not messages:
        given = history.get("messages", chat.get("messages"))
        where = "history.messages" if chat else "chat"
        raise UnreadableChatError(f"it has no messages: {where} is {kind(given)}")
    params = as_object(chat.get("params"))
    return ParsedChat(
        origin=ORIGIN,
        messages=messages,
        id=as_id(raw.get("id")) or as_id(chat.get("id")),
        key=str(first_time(raw.get("created_at"), chat.get("timestamp")) or ""),
        title=as_text(raw.get("title")) or as_text(chat.get("title")),
        created=first_time(raw.get("created_at"), chat.get("timestamp")),
        system=as_text(chat.get("system")) or as_text(params.get("system")),
        current=as_id(history.get("currentId")) or None,
        damaged=sum(message.role is None for message in messages),
    )


def _messages(given: object, model: str) -> list[Message]:
    """Parse messages from a mapping of ids, or from the list of a chat without branches."""
    if isinstance(given, dict):
        return [_message(name, as_object(raw), given, model) for name, raw in _by_rank(given)]
    found: list[Message] = []
    raws = [as_object(each) for each in as_list(given)]
    for name, raw in zip(unique_ids(raw.get("id") for raw in raws), raws, strict=True):
        message = _message(name, raw, {}, model)
        found.append(message._replace(parent=found[-1].id if found else None))
    return found


def _by_rank(given: Object) -> list[tuple[str, object]]:
    """Return the messages with siblings in order."""
    ranks = {
        child: number
        for raw in given.values()
        for number, child in enumerate(as_list(as_object(raw).get("childrenIds")))
        if isinstance(child, str)
    }
    return sorted(given.items(), key=lambda item: ranks.get(item[0], 0))


def _message(name: str, raw: Object, known: Object, model: str) -> Message:
    role = _ROLES.get(as_text(raw.get("role")))
    parent = as_id(raw.get("parentId"))
    text = content_text(raw.get("content"))
    if role == "assistant":
        text = _without_details(text)
    files = (
        attachment(file_name(file), "image" if file.get("type") == "image" else "attachment")
        for file in as_objects(raw.get("files"))
    )
    return Message(
        name,
        parent if parent in known else None,
        role,
        with_attachments(text, files),
        when(raw.get("timestamp")),
        (as_text(raw.get("model")) or model) if role == "assistant" else "",
    )


def _without_details(text: str) -> str:
    """Remove reasoning and tool calls, which the site folds away, from a reply."""
    found, at = "", 0
    while (begin := _DETAILS.search(text, at)) is not None:
        found += text[at : begin.start()]
        end = text.find(_END, begin.end())
        at = len(text) if end < 0 else end + len(_END)
    return (found + text[at:]).strip("\n") if at else text
