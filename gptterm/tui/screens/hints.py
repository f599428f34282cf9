"""Texts of the chat screen: the placeholder of the prompt, and the key line."""

from collections.abc import Sequence

from textual.binding import BindingType

from gptterm.tui.keys import APP_KEYS, CHAT_KEYS, Hints, Keymap
from gptterm.tui.state.engine_manager import Phase
from gptterm.tui.widgets.chats import ChatsPane
from gptterm.tui.widgets.distribution import Distribution
from gptterm.tui.widgets.key_groups import ALTERNATIVES, CHATS, SAMPLING, TRANSCRIPT
from gptterm.tui.widgets.prompt import Prompt
from gptterm.tui.widgets.sampling import SamplingPanel
from gptterm.tui.widgets.transcript.transcript import Transcript

Labels = tuple[tuple[str, str], ...]
"""Binding ids, separated by spaces where they share a label, and the label."""


def prompt_placeholder(name: str, phase: Phase) -> str:
    """Return the text of the empty prompt.

    Args:
        name: The model's name.
        phase: The engine's phase.
    """
    if phase == "failed":
        return "Messages wait until a model is loaded"
    if phase == "ready":
        return f"Message {name}, or / for commands, @ for files"
    return f"Message {name} (still loading: messages wait)"


_LINES: dict[str, tuple[Sequence[BindingType], Labels, Labels]] = {
    TRANSCRIPT: (
        Transcript.BINDINGS,
        (
            ("turn.up turn.down", "turn"),
            ("token.previous token.next", "token"),
            ("token.alternatives", "alternatives"),
            ("turn.tint", "tint"),
            ("turn.previous turn.next", "version"),
            ("turn.edit", "edit"),
            ("turn.regenerate", "again"),
            ("turn.copy", "copy"),
            ("turn.code", "copy code"),
            ("turn.export", "export"),
        ),
        (),
    ),
    SAMPLING: (
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
    ALTERNATIVES: (
        Distribution.BINDINGS,
        (
            ("next.up next.down", "choose"),
            ("next.previous next.next", "token"),
            ("next.grow", "grow on"),
            ("next.ban", "ban"),
            ("next.more next.less", "bias"),
            ("next.leave", "back"),
        ),
        (),
    ),
    CHATS: (
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
"""Key line of each area but the prompt: bindings of the area, and ids of its and the screen's."""


def key_pairs(keymap: Keymap, area: str, busy: bool) -> Hints:
    """Return the keys of the key line with their labels, the most important first.

    Args:
        keymap: The user's keys.
        area: Area of the key groups that has the focus.
        busy: Whether a reply is being written.
    """
    line = keymap.line
    back = ("stop", "stop" if busy else "back")
    if area in _LINES:
        bindings, own, shared = _LINES[area]
        leaves = () if area == ALTERNATIVES else (back,)
        return line(bindings, *own) + line(CHAT_KEYS, *shared, *leaves)
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
