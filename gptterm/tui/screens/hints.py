"""What the screen says of itself: the greeting of an empty chat, and the keys that matter now."""

from collections.abc import Iterator, Sequence
from typing import Literal

from textual.binding import BindingType

from gptterm.engine.api import ModelInfo
from gptterm.tui.keys import APP_KEYS, CHAT_KEYS, EVERYWHERE, Group, Keymap, Pairs
from gptterm.tui.widgets.chats import ChatsPane
from gptterm.tui.widgets.prompt import Prompt
from gptterm.tui.widgets.sampling import SamplingPanel
from gptterm.tui.widgets.transcript.transcript import Transcript

Part = Literal["prompt", "transcript", "sampling panel", "chats"]
Labels = tuple[tuple[str, str], ...]
"""Ids of bindings, joined by a space where they share it, and their label."""


GROUPS: tuple[Group, ...] = (
    (EVERYWHERE, (*CHAT_KEYS, *APP_KEYS)),
    ("prompt", Prompt.BINDINGS),
    ("transcript", Transcript.BINDINGS),
    ("sampling panel", SamplingPanel.BINDINGS),
    ("chats", ChatsPane.BINDINGS),
)
"""All keys of the screen, for the help, the palette and the keymap."""


def greeting(
    name: str, info: ModelInfo | None, keymap: Keymap, *, failed: bool
) -> Iterator[tuple[str, str]]:
    """The lines of an empty chat: what it is that one talks to, and where help is.

    Args:
        name: The model's.
        info: What is known of it; None before it is loaded.
        keymap: As the user has it.
        failed: It could not be loaded.
    """
    yield "gptterm", "assistant"
    yield "", "text"
    if failed:
        yield f"{name} could not be loaded", "text"
        yield f"{keymap.first(CHAT_KEYS, 'models')} chooses another model", "faint"
    elif info is None:
        yield f"{name} is being loaded; a message can be written meanwhile", "faint"
    elif info.has_chat_template:
        yield f"{name} is here to talk, on this machine alone", "text"
    else:
        yield f"{name} is a base model: it continues text", "text"
        yield "a chat is given to it as a transcript", "faint"
    yield "", "text"
    names = [keymap.first(CHAT_KEYS, "help"), keymap.first(CHAT_KEYS, "sampling")]
    yield f"{names[0]} keys   {names[1]} samplers   / commands", "faint"


_LINES: dict[Part, tuple[Sequence[BindingType], Labels, Labels]] = {
    "transcript": (
        Transcript.BINDINGS,
        (
            ("turn.up turn.down", "turn"),
            ("turn.previous turn.next", "version"),
            ("turn.edit", "edit"),
            ("turn.regenerate", "again"),
            ("turn.copy", "copy"),
            ("turn.code", "copy code"),
            ("turn.export", "export"),
        ),
        (),
    ),
    "sampling panel": (
        SamplingPanel.BINDINGS,
        (
            ("sampling.up sampling.down", "choose"),
            ("sampling.less sampling.more", "change"),
            ("sampling.type", "type"),
            ("sampling.neutral", "neutral"),
            ("sampling.presets", "presets"),
        ),
        (),
    ),
    "chats": (
        ChatsPane.BINDINGS,
        (
            ("chats.up chats.down", "choose"),
            ("chats.open", "open"),
            ("chats.rename", "rename"),
            ("chats.pin", "pin"),
            ("chats.archive", "archive"),
            ("chats.delete", "delete"),
            ("chats.undo", "undo"),
            ("chats.duplicate", "copy"),
            ("chats.archived", "archived"),
            ("chats.import", "import"),
        ),
        (("search", "search"), ("new", "new")),
    ),
}
"""For the bottom line, but at the prompt: a part's own keys, and after them the screen's."""


def key_pairs(keymap: Keymap, part: Part, busy: bool) -> Pairs:
    """The keys for the bottom line, the most important first.

    Args:
        keymap: As the user has it.
        part: Where the focus is.
        busy: A reply is being written.
    """
    line = keymap.line
    back = ("stop", "stop" if busy else "back")
    if part in _LINES:
        bindings, own, shared = _LINES[part]
        return line(bindings, *own) + line(CHAT_KEYS, *shared, back)
    now = (back,) if busy else (("regenerate", "again"),)
    return (
        *line(Prompt.BINDINGS, ("prompt.send", "send")),
        *line(CHAT_KEYS, *now, ("sampling", "sampling"), ("help", "help")),
        *line(APP_KEYS, ("palette", "palette")),
        *line(
            CHAT_KEYS,
            ("models", "model"),
            ("transcript", "transcript"),
            *(() if busy else (("continue", "continue"),)),
            ("new", "new"),
            ("search", "search"),
            ("chats", "chats"),
        ),
    )
