"""Our own exports, with branches, token ids and settings; only the texts if damaged."""

from gptterm.conversation.export import FORMAT, VERSION, from_builtins
from gptterm.conversation.nodes import TurnRole
from gptterm.conversation.tree import Conversation, clean_values
from gptterm.json_values import Object, as_object, as_objects, as_text
from gptterm.store.imports.fields import as_id, kind, when
from gptterm.store.imports.parsed_chat import Message, ParsedChat, UnreadableChatError
from gptterm.terminal import one_line

ORIGIN = "gptterm"
_ROLES: dict[str, TurnRole] = {"user": "user", "assistant": "assistant"}


def matches(raw: Object) -> bool:
    """Whether an object is a chat of this format."""
    return raw.get("format") == FORMAT


def parse(raw: Object) -> Conversation | ParsedChat:
    """Parse one chat.

    Raises:
        UnreadableChatError: It has no turns, or is of a newer version.
    """
    try:
        chat = from_builtins(clean_values(raw))
    except RecursionError:
        raise UnreadableChatError("nested too deeply") from None
    except ValueError as error:
        if raw.get("version") != VERSION:
            raise UnreadableChatError(one_line(str(error))) from error
        return _salvaged(raw)
    if not len(chat):
        raise UnreadableChatError("it is empty")
    return chat


def _salvaged(raw: Object) -> ParsedChat:
    """Parse the texts of a damaged chat."""
    nodes = raw.get("nodes")
    if not isinstance(nodes, list):
        raise UnreadableChatError(f"it has no turns: nodes is {kind(nodes)}")
    selected = as_object(raw.get("open_children"))
    current = at = as_text(raw.get("open_root"))
    for _ in nodes:
        at = as_text(selected.get(at))
        current = at or current
    messages = [_message(node) for node in as_objects(nodes)]
    return ParsedChat(
        origin=ORIGIN,
        messages=messages,
        id=as_id(raw.get("id")),
        title=as_text(raw.get("title")),
        created=when(raw.get("created")),
        system=as_text(raw.get("system")),
        current=current,
        damaged=len(nodes) - sum(message.role is not None for message in messages),
    )


def _message(node: Object) -> Message:
    role = _ROLES.get(as_text(node.get("role")))
    runs = as_objects(node.get("generations"))
    return Message(
        as_id(node.get("id")),
        as_text(node.get("parent")) or None,
        role if isinstance(node.get("text"), str) else None,
        as_text(node.get("text")),
        when(node.get("created")),
        as_text(runs[-1].get("model")) if runs else "",
    )
