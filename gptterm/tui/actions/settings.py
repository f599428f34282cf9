"""Change the settings of config.toml."""

from functools import partial
from typing import TYPE_CHECKING

from gptterm.errors import GpttermError
from gptterm.paths import config_file
from gptterm.terminal import one_line
from gptterm.threads import in_daemon_thread
from gptterm.tui.actions.chat_view import ChatView
from gptterm.tui.actions.pickers import choose_theme
from gptterm.tui.dialogs.choice import ChoiceDialog
from gptterm.tui.dialogs.input import InputDialog, InputRequest
from gptterm.tui.state.presets import preset_details
from gptterm.tui.state.saved_settings import SavedSetting, acts_at_once, save, saved_settings
from gptterm.tui.widgets.table_list import Row, row

if TYPE_CHECKING:
    from gptterm.tui.dialogs.settings import SettingsDialog

UNSET = "not set"
"""The row that takes a setting out of the file."""


def show_settings(view: ChatView) -> None:
    """Show all settings, to be changed and saved."""
    view.run_worker(partial(_open, view), exclusive=True, group="picker")


async def _open(view: ChatView) -> None:
    from gptterm.tui.dialogs.settings import SettingsDialog

    try:
        entries = await _read(view)
    except GpttermError as error:
        view.show_notice("error", str(error))
        return
    dialog = SettingsDialog(entries, lambda entry: _change(view, dialog, entry))
    view.app.push_screen(dialog)


async def _read(view: ChatView) -> list[SavedSetting]:
    settings = view.controller.settings
    return await in_daemon_thread(lambda: saved_settings(config_file(), settings))


def _change(view: ChatView, dialog: "SettingsDialog", entry: SavedSetting) -> None:
    """Ask for the value of a setting: one of a few, or typed."""

    async def submit(text: str) -> str:
        return await _save(view, entry, entry.parse(text))

    async def show(said: str) -> None:
        dialog.show_settings(await _read(view), said)

    async def submit_choice(choice: str) -> None:
        try:
            said = await submit("" if choice == UNSET else choice)
        except (GpttermError, ValueError) as error:
            said = one_line(str(error))
        await show(said)

    def done(said: str | None) -> None:
        if said is not None:
            view.run_worker(partial(show, said))

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


def _choices(view: ChatView, entry: SavedSetting) -> list[Row]:
    """The values to choose from, the saved one first; empty where any text may be one."""
    settings = view.controller.settings
    if entry.key == ".preset":
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


async def _save(view: ChatView, entry: SavedSetting, value: object) -> str:
    """Save a value, have it act if it can, and return what was done.

    Raises:
        GpttermError: It was not saved.
    """
    settings = view.controller.settings
    await in_daemon_thread(lambda: save(config_file(), entry, value, settings))
    name = entry.name.replace("_", "-")
    said = f"{name} {entry.spell(value)} is saved" if value is not None else f"{name} is not set"
    if entry.winner:
        return f"{said}; in this run {entry.winner} wins"
    if not acts_at_once(entry):
        return f"{said}, from the next start on"
    value = entry.setting.default if value is None else value
    if value is not None or entry.name == "seed":
        view.change(**{entry.name: value})
    return said
