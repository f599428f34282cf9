"""Give an action of the TUI another key, saved to config.toml."""

from functools import partial

from textual.binding import Binding

from gptterm.config.edit import save_value
from gptterm.paths import config_file
from gptterm.tui.actions.chat_view import ChatView
from gptterm.tui.dialogs.choice import COMMAND_COLUMNS, ChoiceDialog
from gptterm.tui.dialogs.key import KeyDialog
from gptterm.tui.keys import EVERYWHERE, identified, spelled, usable
from gptterm.tui.state.saved_settings import saying
from gptterm.tui.widgets.key_groups import GROUPS, PROMPT, SCREENS, TEXT
from gptterm.tui.widgets.table_list import Row, row

TABLE = ("tui", "keys")
TYPED_IN = (EVERYWHERE, PROMPT, TEXT)
"""Areas in which characters are typed."""


def choose_key(view: ChatView) -> None:
    """Choose an action, then press its key."""
    dialog = ChoiceDialog("keys", _rows(view), columns=COMMAND_COLUMNS)

    def chosen(name: str | None) -> None:
        if name is not None:
            _ask(view, name)

    view.app.push_screen(dialog, chosen)


def _rows(view: ChatView) -> list[Row]:
    rows = []
    for heading, bindings in GROUPS:
        own = identified(bindings)
        for binding, (keys, _) in zip(own, view.keymap.table(bindings), strict=True):
            where = "" if heading == EVERYWHERE else f"in the {heading}"
            rows.append(row(binding.id or "", _does(binding), where, keys))
    return rows


def _ask(view: ChatView, name: str) -> None:
    """Ask for the key of an action, and save it."""
    heading, binding = next(
        (heading, binding)
        for heading, bindings in GROUPS
        for binding in identified(bindings)
        if binding.id == name
    )

    def problem(key: str) -> str:
        if len(key) == 1 and heading in TYPED_IN:
            return f"{spelled(key)} is typed as a character"
        before = usable(view.keymap.mapping, SCREENS)[1]
        told = usable({**view.keymap.mapping, name: key}, SCREENS)[1]
        return next((text.partition(": ")[0] for text in told if text not in before), "")

    def pressed(key: str | None) -> None:
        if key is not None:
            view.run_worker(partial(_save, view, name, key))

    view.app.push_screen(KeyDialog(_does(binding), problem), pressed)


def _does(binding: Binding) -> str:
    return binding.tooltip or binding.description


async def _save(view: ChatView, name: str, key: str) -> None:
    """Save a key, or take it out of the file where it is empty; it acts at once."""
    done = f"{spelled(key)} is its key now, saved to config.toml" if key else "it has its own key"
    said = await saying(lambda: save_value(config_file(), TABLE, name, key or None), done)
    if said == done:
        others = {each: keys for each, keys in view.keymap.mapping.items() if each != name}
        view.keymap.mapping = {**others, name: key} if key else others
        view.app.set_keymap(view.keymap.mapping)
        view.show_keys()
    view.show_notice("good" if said == done else "error", f"{name}: {said}")
    choose_key(view)
