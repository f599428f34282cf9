"""Lists of messages with roles: OpenAI's and ollama's requests, ShareGPT's conversations."""

from collections.abc import Sequence
from typing import Any

from gptterm.conversation.nodes import TurnRole
from gptterm.json_values import Object, as_list, as_object, as_objects, as_text
from gptterm.store.imports.fields import (
    as_id,
    attachment,
    content_text,
    file_lines,
    first_time,
    kind,
    with_attachments,
)
from gptterm.store.imports.parsed_chat import ParsedChat, UnreadableChatError, linear

ORIGIN = "a messages file"
SHAREGPT = "ShareGPT"
_LISTS = ("conversations", "conversation", "items")
_USERS = ("user", "human", "prompter")
_MODELS = ("assistant", "gpt", "model", "ai", "bot", "chatgpt", "chatbot", "bing", "bard",
           "claude", "llm")  # fmt: skip
_SYSTEMS = ("system", "developer")
_TOOLS = ("tool", "function", "function_call", "function_response", "observation", "ipython")


def is_message(raw: object) -> bool:
    """Whether a value is a message with a role and a content."""
    fields = as_object(raw)
    return bool(_role_of(fields)) and any(
        name in fields for name in ("content", "value", "tool_calls", "parts")
    )


def matches(raw: Object) -> bool:
    """Whether an object has messages, as requests do."""
    return "messages" in raw or "messages" in as_object(raw.get("body"))


def matches_sharegpt(raw: Object) -> bool:
    """Whether an object is a conversation of ShareGPT."""
    return any(any(map(is_message, as_list(raw.get(name)))) for name in _LISTS) or (
        "conversations" in raw and not as_objects(raw["conversations"])
    )


def parse(raw: Object) -> ParsedChat:
    """Parse a chat with `messages`.

    Raises:
        UnreadableChatError: It has no messages.
    """
    if "messages" not in raw:
        raw = {**raw, **as_object(raw.get("body"))}
    given = raw["messages"]
    if not isinstance(given, list):
        raise UnreadableChatError(f"it has no messages: messages is {kind(given)}")
    # The response may be beside the request, in OpenAI's form or in ollama's.
    answers = [as_object(choice).get("message") for choice in as_list(raw.get("choices"))[:1]]
    answers = [answer for answer in (*answers, raw.get("message")) if is_message(answer)]
    return _parse(raw, [*given, *answers], ORIGIN)


def parse_sharegpt(raw: Object) -> ParsedChat:
    """Parse a conversation of ShareGPT.

    Raises:
        UnreadableChatError: It has no messages.
    """
    given = next((raw[name] for name in _LISTS if name in raw), None)
    if not isinstance(given, list):
        raise UnreadableChatError(f"it has no messages: conversations is {kind(given)}")
    return _parse(raw, given, SHAREGPT)


def parse_list(given: Sequence[Any]) -> ParsedChat:
    """Parse messages without a chat around them, in a list or one per line."""
    return _parse({}, given, ORIGIN)


def _parse(raw: Object, given: Sequence[Any], origin: str) -> ParsedChat:
    model = as_text(raw.get("model"))
    systems = [as_text(raw.get("system")), as_text(raw.get("system_prompt"))]
    messages: list[tuple[TurnRole | None, str, float | None, str]] = []
    damaged = 0
    for each in given:
        fields = as_object(each)
        role, text = _role_of(fields), _text(fields)
        created = first_time(
            *(fields.get(name) for name in ("created_at", "created", "timestamp", "create_time"))
        )
        turn: TurnRole | None = None
        if role in _SYSTEMS:
            systems.append(text)
        elif role in _USERS:
            turn = "user"
        elif role in _MODELS:
            turn = "assistant"
        else:
            damaged += role not in _TOOLS
        by = as_text(fields.get("model")) or model if turn == "assistant" else ""
        messages.append((turn, text if turn else "", created, by))
    return ParsedChat(
        origin=origin,
        messages=linear(messages),
        key=next(filter(None, (as_id(raw.get(name)) for name in ("id", "uuid", "custom_id"))), ""),
        title=as_text(raw.get("title")) or as_text(raw.get("name")),
        created=first_time(
            *(raw.get(name) for name in ("created_at", "created", "timestamp", "create_time"))
        ),
        system="\n\n".join(dict.fromkeys(filter(None, systems))),
        damaged=damaged,
    )


def _role_of(fields: Object) -> str:
    role = as_text(fields.get("role")) or as_text(fields.get("from"))
    return role.strip().lower()


def _text(fields: Object) -> str:
    content = next(
        (fields[name] for name in ("content", "value", "parts", "text") if name in fields), ""
    )
    images = [attachment("", "image") for _ in as_list(fields.get("images"))]
    return with_attachments(
        content_text(content), [*images, *file_lines(fields.get("attachments"))]
    )
