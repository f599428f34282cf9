"""Choose a model or a preset."""

import asyncio
from functools import partial
from typing import Any

from textual.app import App

from gptterm.config.edit import save_text
from gptterm.engine.remote import discovery
from gptterm.engine.remote.servers import full_name, host
from gptterm.errors import UsageError
from gptterm.format import byte_size
from gptterm.paths import config_file
from gptterm.threads import in_daemon_thread
from gptterm.tui import themes
from gptterm.tui.actions.chat_view import ChatView
from gptterm.tui.dialogs.choice import COMMAND_COLUMNS, ChoiceDialog
from gptterm.tui.keys import WHERE
from gptterm.tui.state.completions import preset_details
from gptterm.tui.widgets.table_list import Row, row

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


def choose_theme(view: ChatView) -> None:
    """Choose a theme, which is shown while it is highlighted, and saved to config.toml."""
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
        try:
            await in_daemon_thread(lambda: save_text(config_file(), "tui", "theme", name))
        except UsageError as error:
            view.show_notice("error", f"the theme is for this run only: {error}")
        else:
            view.show_notice("good", f"theme {name}, saved to config.toml")

    def chosen(name: str | None) -> None:
        if name is None:
            app.theme = before
        else:
            show(name)
            view.run_worker(partial(save, name))

    view.app.push_screen(ChoiceDialog("theme", choices, preview=show), chosen)


def model_rows() -> list[Row]:
    """List the bundled model, the cached ones, and the aliases of others."""
    from gptterm.models import ALIASES, BUNDLED, cached_models

    cached = cached_models()
    choices = [row(BUNDLED, BUNDLED, "bundled with gptterm")]
    choices += [
        row(model.name, model.name, model.problem or f"on this machine · {byte_size(model.size)}")
        for model in cached
    ]
    known = {model.repo_id for model in cached}
    choices += [
        row(alias, alias, f"to be downloaded · {repo_id}")
        for alias, repo_id in ALIASES.items()
        if repo_id not in known
    ]
    return choices


def choose_model(view: ChatView) -> None:
    """Choose a model; the cache is read in another thread, and the servers are asked."""

    def chosen(name: str | None) -> None:
        if name is not None:
            view.controller.load(name)

    async def ask() -> None:
        engine = view.controller.engine
        loaded = engine.info if engine.ready else None
        settings = view.controller.settings
        local, remote = await asyncio.gather(
            in_daemon_thread(model_rows),
            discovery.list_all(settings.servers, _SERVERS_TIMEOUT_S, offline=settings.offline),
        )
        choices = local + [
            row(name, name, f"on {host(model)}") for model in remote for name in [full_name(model)]
        ]
        if loaded is not None:
            others = [choice for choice in choices if choice.key != loaded.name]
            choices = [row(loaded.name, loaded.name, "the loaded model"), *others]
        dialog = ChoiceDialog("model", choices, free="a name, a Hub id or a path")
        view.app.push_screen(dialog, chosen)

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
        view.controller.load(model)
    else:
        view.show_notice("info", "no other model wrote this chat")
