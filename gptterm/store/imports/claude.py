"""Claude's `conversations.json`: messages in order, each with its parent."""

from gptterm.conversation.nodes import TurnRole
from gptterm.json_values import Object, as_list, as_object, as_text
from gptterm.store.imports.fields import (
    as_id,
    content_text,
    file_lines,
    kind,
    unique_ids,
    when,
    with_attachments,
)
from gptterm.store.imports.parsed_chat import Message, ParsedChat, UnreadableChatError

ORIGIN = "Claude"
_ROLES: dict[str, TurnRole] = {"human": "user", "user": "user", "assistant": "assistant"}
_NO_PARENT = "00000000-0000-4000-8000-000000000000"


def matches(raw: Object) -> bool:
    """Whether an object is a chat of this format."""
    return "chat_messages" in raw


def parse(raw: Object) -> ParsedChat:
    """Parse one chat.

    Raises:
        UnreadableChatError: It has no messages.
    """
    given = raw["chat_messages"]
    if not isinstance(given, list):
        raise UnreadableChatError(f"it has no messages: chat_messages is {kind(given)}")
    model = as_text(raw.get("model"))
    names = unique_ids(as_object(each).get("uuid") for each in given)
    known = set(names)
    messages: list[Message] = []
    for name, each in zip(names, map(as_object, given), strict=True):
        parent = as_text(each.get("parent_message_uuid"))
        before = messages[-1].id if messages and parent != _NO_PARENT else None
        role = _ROLES.get(as_text(each.get("sender")))
        messages.append(
            Message(
                name,
                parent if parent in known and parent != name else before,
                role,
                _text(each),
                when(each.get("created_at")),
                model if role == "assistant" else "",
            )
        )
    return ParsedChat(
        origin=ORIGIN,
        messages=messages,
        id=as_id(raw.get("uuid")),
        key=as_text(raw.get("created_at")),
        title=as_text(raw.get("name")),
        created=when(raw.get("created_at")),
        current=as_text(raw.get("current_leaf_message_uuid")) or None,
        damaged=sum(message.role is None for message in messages),
    )


def _text(raw: Object) -> str:
    # If tools were used, `text` has placeholders in it, unlike the parts.
    said = content_text(as_list(raw.get("content")))
    files = [
        line for name in ("attachments", "files", "files_v2") for line in file_lines(raw.get(name))
    ]
    return with_attachments(said or as_text(raw.get("text")), dict.fromkeys(files))
