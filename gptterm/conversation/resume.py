"""Resuming a chat: which model continues it, and with which system text."""

from gptterm.config import Settings
from gptterm.conversation.tree import Conversation


def last_model(chat: Conversation) -> str:
    """Return the model here of the chat's latest reply; empty for none or an imported one."""
    reply = chat.last_reply()
    return "" if reply is None else chat.node(reply).local_model


def resumed_model(chat: Conversation, settings: Settings) -> str:
    """Return the model that continues a chat: its own, unless the user has chosen another."""
    own = last_model(chat)
    return own if own and settings.model_is_default else settings.model


def system_text(chat: Conversation, settings: Settings, *, resumed: bool) -> str:
    """Return the system text for the next reply.

    A new chat gets that of the settings. A resumed one keeps its own, unless an option gives
    another: an option is meant for this very chat, a setting of config.toml for new ones.
    """
    given = settings.system or ""
    is_option = settings.origins["system"] == "option"
    return given if given.strip() and (is_option or not resumed) else chat.system
