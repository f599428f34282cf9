"""Our own export: every turn with its branches, token ids and settings."""

from typing import Any

from gptterm.conversation.export import FORMAT, from_builtins
from gptterm.conversation.tree import Conversation, clean_text
from gptterm.store.imports.fields import Object
from gptterm.store.imports.parsed_chat import UnreadableChatError
from gptterm.terminal import one_line

ORIGIN = "gptterm"


def matches(raw: Object) -> bool:
    """Whether an object is a chat of this format."""
    return raw.get("format") == FORMAT


def parse(raw: Object) -> Conversation:
    """Parse one chat.

    Raises:
        UnreadableChatError: it is damaged, or a newer version's.
    """
    try:
        chat = from_builtins(_cleaned(raw))
    except RecursionError:
        raise UnreadableChatError("nested too deeply") from None
    except ValueError as error:
        raise UnreadableChatError(one_line(str(error))) from error
    if not len(chat):
        raise UnreadableChatError("nothing was said in it")
    return chat


def _cleaned(value: Any) -> Any:
    """The value without lone surrogates, which no column holds."""
    match value:
        case str():
            return clean_text(value)
        case dict():
            return {clean_text(name): _cleaned(item) for name, item in value.items()}
        case list():
            return [_cleaned(item) for item in value]
    return value
