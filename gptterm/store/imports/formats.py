"""The known formats, and their detection from content."""

from collections.abc import Callable
from typing import NamedTuple

from gptterm.conversation.tree import Conversation
from gptterm.json_values import Object, as_objects
from gptterm.store.imports import (
    chatgpt,
    claude,
    gptterm_document,
    gptterm_json,
    llm_logs,
    lmstudio,
    loom,
    messages,
    mikupad,
    openwebui,
)
from gptterm.store.imports.parsed_chat import ParsedChat
from gptterm.store.imports.parsed_document import ImportedDocument

KNOWN = (
    "gptterm's JSON, ChatGPT, Claude, Open WebUI, LM Studio, ShareGPT, OpenAI and ollama messages, "
    "llm logs --json; texts of loom and mikupad"
)


class Format(NamedTuple):
    """A format of chats or documents."""

    matches: Callable[[Object], bool]
    parse: Callable[[Object], ParsedChat | Conversation | llm_logs.Row | ImportedDocument]
    """Raises UnreadableChatError."""


FORMATS = (
    Format(gptterm_json.matches, gptterm_json.parse),
    Format(gptterm_document.matches, gptterm_document.parse),
    Format(chatgpt.matches, chatgpt.parse),
    Format(claude.matches, claude.parse),
    Format(lmstudio.matches, lmstudio.parse),
    Format(openwebui.matches, openwebui.parse),
    Format(messages.matches_sharegpt, messages.parse_sharegpt),
    Format(llm_logs.matches, llm_logs.parse),
    Format(messages.matches, messages.parse),
    Format(loom.matches, loom.parse),
    Format(mikupad.matches, mikupad.parse),
)
"""The more specific ones first."""


def format_of(raw: Object) -> Format | None:
    """Return the format of an object; None if it is not a known chat."""
    return next((form for form in FORMATS if form.matches(raw)), None)


def wrapped(raw: Object) -> list[Object]:
    """Return the chats in a wrapper such as `{"conversations": [...]}`; empty if it is none."""
    for value in raw.values():
        inner = as_objects(value)
        if inner and any(map(format_of, inner[:10])):
            return inner
    return []
