"""What there is to choose from: models and presets."""

from gptterm.config import Settings
from gptterm.threads import in_daemon_thread
from gptterm.tui.dialogs.choice import Choice, ChoiceDialog
from gptterm.tui.keys import written
from gptterm.tui.screens.parts import ChatParts


def preset_picker(settings: Settings) -> ChoiceDialog:
    """The presets, with the values that are not neutral."""
    neutral = settings.presets["neutral"]
    choices = []
    for name, values in settings.presets.items():
        told = [
            f"{key.replace('_', '-')} {written(value)}"
            for key, value in values.items()
            if value != neutral.get(key)
        ]
        choices.append(Choice(name, ", ".join(told) or "every sampler off"))
    return ChoiceDialog("preset", choices)


def model_choices() -> list[Choice]:
    """The bundled model, those in the cache, and the aliases of others."""
    from gptterm.models import ALIASES, BUNDLED, cached_models

    here = cached_models()
    choices = [Choice(BUNDLED, "bundled with gptterm")]
    choices += [
        Choice(model.name, model.problem or f"on this machine · {model.size / 1e6:,.0f} MB")
        for model in here
    ]
    known = {model.repo_id for model in here}
    choices += [
        Choice(alias, f"to be downloaded · {repo_id}")
        for alias, repo_id in ALIASES.items()
        if repo_id not in known
    ]
    return choices


def open_model_picker(screen: ChatParts) -> None:
    """Look into the cache in another thread, then ask."""

    def chosen(name: str | None) -> None:
        if name is not None:
            screen.controller.load(name)

    async def ask() -> None:
        info = screen.controller.engine.info if screen.controller.engine.ready else None
        choices = await in_daemon_thread(model_choices)
        if info is not None:
            others = [choice for choice in choices if choice.key != info.name]
            choices = [Choice(info.name, "the one that is loaded"), *others]
        picker = ChoiceDialog("model", choices, free="a name, a Hub id or a path")
        screen.app.push_screen(picker, chosen)

    screen.run_worker(ask(), exclusive=True, group="picker")
