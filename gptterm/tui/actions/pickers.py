"""Choose a model or a preset."""

from collections.abc import Callable
from functools import partial
from typing import Any

from textual.app import App

from gptterm.config.edit import save_value
from gptterm.engine.remote import discovery
from gptterm.engine.remote.servers import full_name, host
from gptterm.errors import UsageError
from gptterm.paths import config_file
from gptterm.threads import in_daemon_thread
from gptterm.tui import themes
from gptterm.tui.actions.chat_view import ChatView, EngineView, ScreenView
from gptterm.tui.dialogs.choice import COMMAND_COLUMNS, ChoiceDialog
from gptterm.tui.keys import WHERE
from gptterm.tui.state.controller import Controller
from gptterm.tui.state.events import NoticeKind
from gptterm.tui.state.model_table import ModelEntry, Wanted, read_models
from gptterm.tui.state.presets import preset_details
from gptterm.tui.widgets.table_list import row

_SERVERS_TIMEOUT_S = 3.0
"""Limit on the wait for the servers' lists of models."""


def choose_preset(view: ChatView) -> None:
    """Choose a preset; each is listed with the values that are not neutral."""
    settings = view.controller.settings
    choices = [row(name, name, preset_details(settings, name)) for name in settings.presets]

    def chosen(name: str | None) -> None:
        if name is not None:
            view.change(preset=name)

    view.app.push_screen(ChoiceDialog("preset", choices), chosen)


def choose_theme(view: ScreenView, say: Callable[[str], None] | None = None) -> None:
    """Choose a theme, which is shown while it is highlighted, and saved to config.toml.

    Args:
        view: The screen.
        say: Told what was done; None: the notice line is.
    """
    app, before = view.app, view.app.theme
    own = {theme.name for theme in themes.OWN}
    # A setting names ours before another of the same name.
    hidden = {name.removeprefix(themes.PREFIX) for name in own}
    names = sorted(
        app.available_themes.keys() - hidden,
        key=lambda name: (name != before, name not in own, name),
    )
    choices = [
        row(short, short, "dark" if app.available_themes[name].dark else "light")
        for name in names
        for short in [name.removeprefix(themes.PREFIX)]
    ]

    def show(name: str) -> None:
        own_name = f"{themes.PREFIX}{name}"
        app.theme = own_name if own_name in own else name

    async def save(name: str) -> None:
        kind: NoticeKind
        try:
            await in_daemon_thread(lambda: save_value(config_file(), ("tui",), "theme", name))
        except UsageError as error:
            kind, said = "error", f"the theme is for this run only: {error}"
        else:
            kind, said = "good", f"theme {name}, saved to config.toml"
        if say is None:
            view.show_notice(kind, said)
        else:
            say(said)

    def chosen(name: str | None) -> None:
        if name is None:
            app.theme = before
        else:
            show(name)
            view.run_worker(partial(save, name))

    view.app.push_screen(ChoiceDialog("theme", choices, preview=show), chosen)


async def models_at_hand(controller: Controller) -> list[ModelEntry]:
    """Read what is known of the models on this machine, and of those that can be downloaded."""
    used = await controller.chat_list.used_models()
    info = controller.engine.info
    settings = controller.settings
    device = info.device if info is not None and not controller.engine.is_remote else "cpu"
    wanted = Wanted(device, settings.dtype, settings.kv_dtype, settings.offline, settings.servers)
    return await in_daemon_thread(lambda: read_models(used, wanted))


def choose_model(view: EngineView) -> None:
    """Choose a model; files are read in another thread, and the servers are asked meanwhile."""
    from gptterm.tui.dialogs.models import ModelDialog

    controller = view.controller

    def chosen(name: str | None) -> None:
        if name is not None:
            controller.loader.load(name)

    async def ask() -> None:
        engine, settings = controller.engine, controller.settings
        loaded = engine.info.name if engine.ready and engine.info is not None else ""
        entries = await models_at_hand(controller)
        fetch = partial(controller.loader.fetch, chosen=True)
        dialog = ModelDialog(entries, loaded, fetch, controller.downloads.progress)
        view.app.push_screen(dialog, chosen)
        remote = await discovery.list_all(
            settings.servers, _SERVERS_TIMEOUT_S, offline=settings.offline
        )
        if remote and dialog.is_mounted:
            dialog.add(
                [
                    ModelEntry(full_name(model), "servers", detail=f"on {host(model)}")
                    for model in remote
                ]
            )

    view.run_worker(ask, exclusive=True, group="picker")


def choose_command(app: App[Any]) -> None:
    """Choose one of all commands of the screen: the palette."""
    commands = list(app.get_system_commands(app.screen))
    rows = []
    for index, (title, keys, *_) in enumerate(commands):
        keys, _, where = keys.partition(WHERE)
        first = keys.partition(" ")[0]
        rows.append(row(str(index), title, where and f"in the {where}", first))

    def chosen(index: str | None) -> None:
        if index is not None:
            commands[int(index)].callback()

    app.push_screen(ChoiceDialog("all that can be done", rows, columns=COMMAND_COLUMNS), chosen)


def load_chat_model(view: ChatView) -> None:
    """Load the model that wrote the open chat."""
    if model := view.controller.other_model:
        view.controller.loader.load(model)
    else:
        view.show_notice("info", "no other model wrote this chat")
