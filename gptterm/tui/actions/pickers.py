"""Choose a model or a preset."""

import asyncio
from functools import partial

from gptterm.config.edit import save_text
from gptterm.engine.remote import discovery
from gptterm.engine.remote.servers import full_name, host
from gptterm.errors import UsageError
from gptterm.format import byte_size, setting_value
from gptterm.paths import config_file
from gptterm.threads import in_daemon_thread
from gptterm.tui import themes
from gptterm.tui.actions.chat_view import ChatView
from gptterm.tui.dialogs.choice import Choice, ChoiceDialog

_SERVERS_TIMEOUT_S = 3.0
"""Limit on the wait for the servers' lists of models."""


def choose_preset(view: ChatView) -> None:
    """Choose a preset; each is listed with the values that are not neutral."""
    presets = view.controller.settings.presets
    neutral = presets["neutral"]
    choices = []
    for name, values in presets.items():
        details = [
            f"{key.replace('_', '-')} {setting_value(value)}"
            for key, value in values.items()
            if value != neutral.get(key)
        ]
        choices.append(Choice(name, ", ".join(details) or "every sampler off"))

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
        Choice(
            name.removeprefix(themes.PREFIX), "dark" if app.available_themes[name].dark else "light"
        )
        for name in names
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


def model_choices() -> list[Choice]:
    """List the bundled model, the cached ones, and the aliases of others."""
    from gptterm.models import ALIASES, BUNDLED, cached_models

    cached = cached_models()
    choices = [Choice(BUNDLED, "bundled with gptterm")]
    choices += [
        Choice(model.name, model.problem or f"on this machine · {byte_size(model.size)}")
        for model in cached
    ]
    known = {model.repo_id for model in cached}
    choices += [
        Choice(alias, f"to be downloaded · {repo_id}")
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
            in_daemon_thread(model_choices),
            discovery.list_all(settings.servers, _SERVERS_TIMEOUT_S, offline=settings.offline),
        )
        choices = local + [Choice(full_name(model), f"on {host(model)}") for model in remote]
        if loaded is not None:
            others = [choice for choice in choices if choice.key != loaded.name]
            choices = [Choice(loaded.name, "the loaded model"), *others]
        dialog = ChoiceDialog("model", choices, free="a name, a Hub id or a path")
        view.app.push_screen(dialog, chosen)

    view.run_worker(ask, exclusive=True, group="picker")


def load_chat_model(view: ChatView) -> None:
    """Load the model that wrote the open chat."""
    if model := view.controller.other_model:
        view.controller.load(model)
    else:
        view.show_notice("info", "no other model wrote this chat")
