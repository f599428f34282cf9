"""Change the settings of config.toml: those of gptterm, of a preset, a server, a task; keys."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gptterm.config.edit import Table, remove_table
from gptterm.errors import GpttermError
from gptterm.paths import config_file
from gptterm.terminal import one_line
from gptterm.threads import in_daemon_thread
from gptterm.tui.actions.chat_view import ChatView
from gptterm.tui.actions.pickers import choose_theme
from gptterm.tui.dialogs.choice import ChoiceDialog
from gptterm.tui.dialogs.input import InputDialog, InputRequest
from gptterm.tui.state.presets import preset_details
from gptterm.tui.state.saved_settings import (
    SavedSetting,
    acts_at_once,
    save,
    saved_names,
    saved_settings,
    saved_table,
    saying,
)
from gptterm.tui.widgets.table_list import Row, row

if TYPE_CHECKING:
    from gptterm.tui.dialogs.settings import SettingsDialog

UNSET = "not set"
"""The row that takes a setting out of the file."""
KEYS = "keys"
REMOVE = "remove"
_ABOUT = {
    KEYS: "which key does what",
    "presets": "named sets of sampler values",
    "servers": "servers with models, by names of your own",
    "tasks": "prompts for base models",
}
"""Tables that the settings lead to."""
T = TypeVar("T")


def show_settings(view: ChatView) -> None:
    """Show all settings, to be changed and saved."""
    view.run_worker(SettingsEditor(view, ()).open, exclusive=True, group="picker")


class SettingsEditor:
    """Shows the settings of a table in a dialog, and saves what is changed there.

    Args:
        view: The chat, whose settings a change can have in effect at once.
        table: The preset, server or task; empty: the settings outside of those.
    """

    def __init__(self, view: ChatView, table: Table) -> None:
        self._view = view
        self._table = table
        self._dialog: SettingsDialog | None = None

    async def open(self) -> None:
        """Show the dialog."""
        from gptterm.tui.dialogs.settings import SettingsDialog

        entries = await read(self._view, self._read)
        if entries is None:
            return
        title, links = "settings", [row(key, key, about, "▸") for key, about in _ABOUT.items()]
        if self._table:
            title = " ".join((self._table[0].removesuffix("s"), *self._table[1:]))
            links = [row(REMOVE, REMOVE, f"take {title} out of config.toml")]
        self._dialog = SettingsDialog(one_line(title), entries, links, self._take)
        self._view.app.push_screen(self._dialog)

    def _read(self) -> list[SavedSetting]:
        if self._table:
            return saved_table(config_file(), self._table)
        return saved_settings(config_file(), self._view.controller.settings)

    def _take(self, entry: SavedSetting | str) -> None:
        """Change a setting, or go where a link leads."""
        if isinstance(entry, SavedSetting):
            self._change(entry)
        elif entry == REMOVE:
            self._view.run_worker(self._remove)
        elif entry == KEYS:
            from gptterm.tui.actions.key_editor import choose_key

            choose_key(self._view)
        else:
            self._view.run_worker(partial(choose_table, self._view, entry))

    async def _remove(self) -> None:
        await self._show(
            await saying(lambda: remove_table(config_file(), self._table), "removed it")
        )

    async def _show(self, said: str) -> None:
        """Show what the file sets now, and what was done."""
        entries = await read(self._view, self._read)
        if self._dialog is not None and entries is not None:
            self._dialog.show_settings(entries, said)

    def _change(self, entry: SavedSetting) -> None:
        """Ask for the value of a setting: one of a few, or typed."""
        view = self._view

        async def submit(text: str) -> str:
            return await self._save(entry, entry.parse(text))

        async def submit_choice(choice: str) -> None:
            try:
                said = await submit("" if choice == UNSET else choice)
            except (GpttermError, ValueError) as error:
                said = one_line(str(error))
            await self._show(said)

        def done(said: str | None) -> None:
            if said is not None:
                view.run_worker(partial(self._show, said))

        def chosen(choice: str | None) -> None:
            if choice is not None:
                view.run_worker(partial(submit_choice, choice))

        if entry.key == "tui.theme":
            choose_theme(view, done)
        elif choices := _choices(view, entry):
            view.app.push_screen(ChoiceDialog(entry.name, choices), chosen)
        else:
            kind = entry.setting.type
            hint = f"{entry.setting.help}: {kind.expected}; empty: {UNSET}"
            request = InputRequest(entry.name, "save", hint, entry.text, is_selected=True)
            view.app.push_screen(InputDialog(request, submit), done)

    async def _save(self, entry: SavedSetting, value: object) -> str:
        """Save a value, have it act if it can, and return what was done.

        Raises:
            GpttermError: It was not saved.
        """
        settings = self._view.controller.settings
        await in_daemon_thread(lambda: save(config_file(), entry, value, settings))
        name, shown = entry.name.replace("_", "-"), entry.spell(value)
        said = f"{name} {shown} is saved" if value is not None else f"{name} is not set"
        if entry.winner:
            return f"{said}; in this run {entry.winner} wins"
        if not acts_at_once(entry):
            return f"{said}, from the next start on"
        value = entry.setting.default if value is None else value
        if value is not None or entry.name == "seed":
            self._view.change(**{entry.name: value})
        return said


async def choose_table(view: ChatView, kind: str) -> None:
    """Choose one of the presets, servers or tasks of config.toml, or name a new one."""
    names = await read(view, lambda: saved_names(config_file(), kind))
    if names is None:
        return

    def chosen(name: str | None) -> None:
        if name is not None:
            view.run_worker(SettingsEditor(view, (kind, name)).open)

    rows = [row(name, one_line(name)) for name in names]
    view.app.push_screen(ChoiceDialog(kind, rows, "the name of a new one"), chosen)


async def read(view: ChatView, work: Callable[[], T]) -> T | None:
    """Read from config.toml in another thread; None: it cannot be read, which is said."""
    try:
        return await in_daemon_thread(work)
    except GpttermError as error:
        view.show_notice("error", str(error))
        return None


def _choices(view: ChatView, entry: SavedSetting) -> Sequence[Row]:
    """The values to choose from, the saved one first; empty where any text may be one."""
    settings = view.controller.settings
    if entry.key == "preset":
        values = [(name, preset_details(settings, name)) for name in settings.presets]
    else:
        values = [(word, "") for word in entry.setting.type.words]
    if not values:
        return []
    values.sort(key=lambda value: value[0] != entry.text)
    return [
        *(row(word, word, about) for word, about in values),
        row(UNSET, UNSET, entry.spell(entry.setting.default)),
    ]
