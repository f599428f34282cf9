"""LM Studio's `*.conversation.json`: a list of messages, each with one or more versions."""

from typing import Any

from gptterm.conversation.nodes import TurnRole
from gptterm.json_values import Object, as_list, as_object, as_objects, as_text
from gptterm.store.imports.fields import content_text, kind, when
from gptterm.store.imports.parsed_chat import Message, ParsedChat, UnreadableChatError

ORIGIN = "LM Studio"
_ROLES: dict[str, TurnRole] = {"user": "user", "assistant": "assistant"}
_SIGNS = ("systemPrompt", "usePerChatPredictionConfig", "preset", "tokenCount")


def matches(raw: Object) -> bool:
    """Whether an object is a chat of this format."""
    if "messages" not in raw:
        return False
    versions = any("versions" in each for each in as_objects(raw["messages"]))
    return versions or ("createdAt" in raw and any(sign in raw for sign in _SIGNS))


def parse(raw: Object) -> ParsedChat:
    """Parse one chat.

    Raises:
        UnreadableChatError: It has no messages.
    """
    given = raw["messages"]
    if not isinstance(given, list):
        raise UnreadableChatError(f"it has no messages: messages is {kind(given)}")
    model = as_text(as_object(raw.get("lastUsedModel")).get("identifier"))
    messages: list[Message] = []
    systems = [as_text(raw.get("systemPrompt"))]
    before: str | None = None
    damaged = 0
    for number, each in enumerate(given):
        message = as_object(each)
        versions = as_list(message.get("versions"))
        chosen = message.get("currentlySelected")
        at = chosen if isinstance(chosen, int) and 0 <= chosen < len(versions) else 0
        damaged += not versions
        # The next message follows the selected version.
        after = before
        for version, fields in enumerate(map(as_object, versions)):
            if fields.get("role") == "system":
                systems.append(content_text(fields.get("content")))
                continue
            name = f"m{number}-{version}"
            messages.append(_message(name, before, fields, model))
            damaged += messages[-1].role is None
            after = name if version == at else after
        before = after
    created = when(raw.get("createdAt"))
    return ParsedChat(
        origin=ORIGIN,
        messages=messages,
        id="" if created is None else f"lmstudio-{created * 1000:.0f}",
        title=as_text(raw.get("name")),
        created=created,
        system="\n\n".join(filter(None, systems)),
        current=before,
        damaged=damaged,
    )


def _message(name: str, parent: str | None, raw: Object, model: str) -> Message:
    role = _ROLES.get(as_text(raw.get("role")))
    parts: list[Any] = as_list(raw.get("content"))
    said = [content_text(parts)]
    for step in as_objects(raw.get("steps")):
        style = as_object(step.get("style")).get("type")
        if step.get("type", "contentBlock") != "contentBlock" or style == "thinking":
            continue  # tools, debug notes, reasoning
        said.append("".join(map(_step_text, as_list(step.get("content")))))
        used = as_object(step.get("genInfo")).get("identifier")
        model = as_text(used) or model
    sender = as_text(as_object(raw.get("senderInfo")).get("senderName"))
    text = "\n\n".join(filter(None, said))
    return Message(name, parent, role, text, None, (model or sender) if role == "assistant" else "")


def _step_text(part: object) -> str:
    return content_text([part])
