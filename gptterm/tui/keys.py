"""Key bindings of the chat screen and the app, and the user's keymap.

Each binding has an id, by which [tui.keys] remaps it, and a sentence for the help.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from textual.binding import Binding, BindingType
from textual.keys import Keys, key_to_character


def _key(keys: str, action: str, label: str, identity: str, does: str) -> Binding:
    # Priority: the text area of the prompt itself binds some of these (Ctrl+C, Ctrl+Z, …).
    return Binding(keys, action, label, id=identity, tooltip=does, priority=True)


def _run(keys: str, name: str, label: str, identity: str, does: str) -> Binding:
    """Bind an action of `actions.registry`."""
    return _key(keys, f"run('{name}')", label, identity, does)


CHAT_KEYS: tuple[Binding, ...] = (
    Binding(
        "escape",
        "run('stop')",
        "Stop",
        id="stop",
        tooltip="Stop the reply and keep its text; when idle, go to the prompt",
    ),
    _run("ctrl+r", "regenerate", "Again", "regenerate", "Another reply beside the last one"),
    _run("ctrl+t", "continue", "Continue", "continue", "Continue the last reply where it stopped"),
    _run("ctrl+n", "new_chat", "New chat", "new", "New chat"),
    _run("ctrl+f", "search", "Search", "search", "Search all chats"),
    _key("ctrl+b", "toggle_chats", "Chats", "chats", "Show or hide the chats"),
    _key(
        "ctrl+l", "focus_transcript", "Transcript", "transcript", "Select turns in the transcript"
    ),
    _run("f2", "focus_prompt", "Chat", "chat", "Chat: to the prompt"),
    _key(
        "f5",
        "toggle_sampling",
        "Sampling",
        "sampling",
        "Show and focus the sampling panel, or hide it",
    ),
    _run("ctrl+o", "choose_model", "Model", "models", "Choose a model"),
    _run("f6", "load_chat_model", "Its model", "chat.model", "Load the model that wrote the chat"),
    _run("ctrl+g", "editor", "Editor", "editor", "Edit the prompt in $EDITOR"),
    _run("ctrl+s", "export", "Export", "export", "Export the chat"),
    _key("ctrl+z", "app.suspend_process", "Suspend", "suspend", "Suspend; `fg` comes back"),
    _run("f8", "notices", "Notices", "notices", "Show all notices and errors so far"),
    _run("f9", "branches", "Branches", "branches", "The map of the chat's branches"),
    _run("alt+t", "tasks", "Tasks", "tasks", "Make a prompt of what is typed, by a task"),
    _run("f1", "help", "Help", "help", "Show all keys and commands"),
    Binding(
        "question_mark",
        "run('help')",
        "Help",
        id="help.outside",
        tooltip="Show all keys and commands, outside the prompt",
    ),
    Binding("pageup", "run('page_up')", "Up", id="page.up", tooltip="Scroll the transcript up"),
    Binding(
        "pagedown", "run('page_down')", "Down", id="page.down", tooltip="Scroll the transcript down"
    ),
    _run("ctrl+home", "begin", "Begin", "transcript.begin", "To the beginning of the transcript"),
    _run("ctrl+end", "end", "End", "transcript.end", "To the end of the transcript"),
)
WRITE_KEYS: tuple[Binding, ...] = (
    _key(
        "ctrl+enter,tab",
        "continue",
        "Continue",
        "write.continue",
        "Continue at the cursor",
    ),
    _key("escape", "stop", "Stop", "write.stop", "Stop and keep the text; to and from the list"),
    _key("ctrl+b", "map", "Map", "write.map", "Show the map of the versions, or hide it"),
    _key("alt+t", "tasks", "Tasks", "write.tasks", "Make a prompt of the text, by a task"),
    _key("alt+w", "word", "Word", "write.word", "Ban a word in this text, bias or force it"),
    _key("ctrl+g", "unit", "Unit", "write.unit", "Choose what a continuation ends with"),
    _key("ctrl+t", "tint", "Tint", "write.tint", "Tint by surprisal, rank, entropy, or not"),
    _key(
        "ctrl+l",
        "alternatives",
        "Alternatives",
        "write.alternatives",
        "The alternatives to the token under the cursor, or hide them",
    ),
    _key("f5", "sampling", "Sampling", "write.sampling", "The samplers of this text, or hide them"),
    _key("f6", "beside", "Memory", "write.beside", "The memory and the author's note of this text"),
    _key("f9", "model", "Model", "write.model", "Choose the model that writes on"),
    _key("ctrl+d", "bookmarks", "Bookmarks", "write.bookmarks", "Set a bookmark, or go to one"),
    _key("ctrl+o", "open", "Open", "write.open", "Open another text"),
    _key("ctrl+n", "new", "New", "write.new", "Begin a new text, which needs no file"),
    _key("ctrl+f", "find", "Find", "write.find", "Find in the text; again: the next place"),
    _key("ctrl+r", "replace", "Replace", "write.replace", "Replace everywhere in the text"),
    _key("ctrl+s", "save", "Save", "write.save", "Write the file"),
    _key("ctrl+e", "export", "Export", "write.export", "Export: text, HTML, the tree as JSON"),
    _key("f2", "app.chat", "Chat", "write.chat", "Back to the chat"),
    _key("f1", "help", "Help", "write.help", "Show all keys"),
)
INSPECT_KEYS: tuple[Binding, ...] = (
    _key("1", "view('token')", "Token", "inspect.token", "Token: what it is, its alternatives"),
    _key("2", "view('heat')", "Heat", "inspect.heat", "Heat: the text tinted, perplexity so far"),
    _key(
        "3",
        "view('attention')",
        "Attention",
        "inspect.attention",
        "Attention: what the token attends to, and the heads",
    ),
    _key("4", "view('lens')", "Lens", "inspect.lens", "Lens: what each layer would have said"),
    _key("t", "measure", "Measure", "inspect.measure", "Tint by surprisal, rank or entropy"),
    _key("k", "head(-1, 0)", "Layer", "inspect.head-up", "The head in the layer before"),
    _key("j", "head(1, 0)", "Layer", "inspect.head-down", "The head in the layer after"),
    _key("h", "head(0, -1)", "Head", "inspect.head-left", "The head before"),
    _key("l", "head(0, 1)", "Head", "inspect.head-right", "The head after"),
    _key("a", "all", "All heads", "inspect.all", "The mean of all heads"),
    _key("s", "statistic", "Statistic", "inspect.statistic", "The next statistic of the heads"),
    _key("m", "map", "Map", "inspect.map", "The head's map, or the token's row"),
    _key("f", "first", "First token", "inspect.first", "Hide the first token, or show it"),
    _key("tab", "switch", "Other pane", "inspect.switch", "To the other pane, which scrolls"),
    _key("o", "file", "File", "inspect.file", "Look into a file"),
    _key("escape", "app.back", "Back", "inspect.back", "Back to the chat, or to the text"),
    _key("f2", "app.chat", "Chat", "inspect.chat", "To the chat"),
    _key("f1", "help", "Help", "inspect.help", "Show all keys"),
)
APP_KEYS: tuple[Binding, ...] = (
    _key("ctrl+c", "app.interrupt", "Stop, quit", "interrupt", "Once: stop or copy; twice: quit"),
    _key("ctrl+p", "app.palette", "Palette", "palette", "Search all that can be done"),
    _key("ctrl+q", "app.quit", "Quit", "quit", "Quit"),
    _key("f3", "app.write", "Write", "write", "Write: a text that the model continues"),
    _key("f4", "app.inspect", "Inspect", "inspect", "Inspect: why the model says what it says"),
    _key("f7", "app.settings", "Settings", "settings", "Change the settings in config.toml"),
)
"""Bindings that apply in dialogs too."""

_SIGNS = {
    "enter": "⏎",
    "escape": "esc",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "pageup": "PgUp",
    "pagedown": "PgDn",
    "underscore": "_",
    "question_mark": "?",
    "plus": "+",
    "minus": "-",
}

_MODIFIERS = frozenset({"ctrl", "alt", "shift", "super", "meta", "hyper"})
_NAMED = frozenset(key.value.rpartition("+")[2] for key in Keys)


class KeyHint(NamedTuple):
    """A key in the key line."""

    sign: str
    label: str
    key: str
    """The key to press for a click; empty where several share the label."""


Hints = tuple[KeyHint, ...]
Group = tuple[str, Sequence[BindingType]]
"""A heading and its bindings."""


def sign(key: str) -> str:
    """Format a key as a short sign: ^R, ⏎, alt+⏎, F5."""
    *modifiers, name = key.strip().split("+")
    name = _SIGNS.get(name, name)
    if re.fullmatch(r"f\d+", name):
        name = name.upper()
    if "ctrl" in modifiers:
        modifiers.remove("ctrl")
        name = f"^{name.upper() if len(name) == 1 else name}"
    return "+".join([*modifiers, name])


def spelled(key: str) -> str:
    """Format a key for a sentence: Ctrl+R, Enter, Alt+Enter, F5."""
    names = {"escape": "Esc", "underscore": "_", "question_mark": "?", "plus": "+", "minus": "-"}
    return "+".join(names.get(part, part.capitalize()) for part in key.strip().split("+"))


EVERYWHERE = "everywhere"
"""Heading of the bindings that apply wherever the focus is."""
WHERE = "   in the "
"""Between the keys of a binding and the area in which they apply."""


class Keymap:
    """The user's keys, formatted for display.

    Args:
        mapping: Binding ids, and the keys that replace their own, separated by commas.
    """

    def __init__(self, mapping: Mapping[str, str]) -> None:
        self.mapping = mapping

    def first(self, bindings: Sequence[BindingType], identity: str) -> str:
        """Return the sign of a binding's first key."""
        return sign(self._first(bindings, identity))

    def spelled(self, bindings: Sequence[BindingType], identity: str) -> str:
        """Return a binding's first key for a sentence."""
        return spelled(self._first(bindings, identity))

    def _first(self, bindings: Sequence[BindingType], identity: str) -> str:
        binding = next(b for b in identified(bindings) if b.id == identity)
        return self.mapping.get(identity, binding.key).split(",")[0]

    def table(self, bindings: Sequence[BindingType]) -> list[tuple[str, str]]:
        """Return each binding's keys, and its sentence with its id."""
        return [
            (
                " ".join(sign(key) for key in self.mapping.get(b.id or "", b.key).split(",")),
                f"{b.tooltip or b.description}  ({b.id})",
            )
            for b in identified(bindings)
        ]

    def commands(self, groups: Iterable[Group]) -> Iterator[tuple[str, str, str, str]]:
        """Yield (heading, sentence, keys and where they apply, action) of each binding."""
        for heading, bindings in groups:
            where = "" if heading == EVERYWHERE else f"{WHERE}{heading}"
            for binding, (keys, _) in zip(identified(bindings), self.table(bindings), strict=True):
                does = binding.tooltip or binding.description
                yield heading, does, f"{keys}{where}", binding.action

    def line(self, bindings: Sequence[BindingType], *shown: tuple[str, str]) -> Hints:
        """Return keys and labels of some bindings; ids joined by a space share one label."""
        hints = []
        for ids, label in shown:
            keys = [self._first(bindings, identity).strip() for identity in ids.split()]
            hints.append(KeyHint(_joined_signs(keys), label, keys[0] if len(keys) == 1 else ""))
        return tuple(hints)


def _joined_signs(keys: Sequence[str]) -> str:
    """Signs of keys with one label: modifiers that they share are written once."""
    shared = {key.rpartition("+")[0] for key in keys}
    if len(keys) > 1 and len(shared) == 1 and (modifiers := shared.pop()):
        return f"{modifiers}+{''.join(sign(key.rpartition('+')[2]) for key in keys)}"
    return "".join(map(sign, keys))


def identified(bindings: Sequence[BindingType]) -> Iterator[Binding]:
    """Yield the bindings that have an id."""
    for binding in bindings:
        if isinstance(binding, Binding) and binding.id is not None:
            yield binding


def usable(
    keymap: Mapping[str, str], screens: Iterable[Sequence[Group]]
) -> tuple[dict[str, str], list[str]]:
    """Split a keymap into its valid entries and the problems of the others.

    Two actions on one key of a screen are a problem too, though an entry is valid: one of them has
    no effect.
    """
    screens = tuple(screens)
    groups = [group for screen in screens for group in screen]
    known = {b.id for _, bindings in groups for b in identified(bindings)}
    valid, problems = {}, []
    for name, given in keymap.items():
        wrong = [key for key in given.split(",") if not _is_key(key)]
        if name not in known:
            problems.append(f"there is no action {name}; see F1")
        elif wrong:
            problems.append(f"{name}: there is no key {wrong[0].strip() or '(empty)'}")
        else:
            valid[name] = given
    clashes = [clash for screen in screens for clash in _clashes(valid, screen)]
    return valid, problems + list(dict.fromkeys(clashes))


def _clashes(keymap: Mapping[str, str], groups: Sequence[Group]) -> Iterator[str]:
    """Describe the keys that a keymap gives to two actions of one area."""
    everywhere = [b for heading, bindings in groups if heading == EVERYWHERE for b in bindings]
    told = set[str]()
    for _, bindings in groups:
        users: dict[str, list[str]] = {}
        for binding in {b.id: b for b in identified([*everywhere, *bindings])}.values():
            identity = binding.id or ""
            for key in keymap.get(identity, binding.key).split(","):
                users.setdefault(key.strip(), []).append(identity)
        for key, names in users.items():
            if len(names) > 1 and not keymap.keys().isdisjoint(names) and key not in told:
                told.add(key)
                yield f"{spelled(key)} is the key of {' and '.join(names)}: only one can have it"


def _is_key(name: str) -> bool:
    *modifiers, base = name.strip().split("+")
    return _MODIFIERS.issuperset(modifiers) and (
        base in _NAMED or key_to_character(base) is not None
    )
