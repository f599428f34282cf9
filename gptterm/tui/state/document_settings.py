"""Settings of the document of Write mode: its own samplers, above those of the chat; its model."""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from gptterm.config import Settings
from gptterm.config.definitions import TASK_SETTINGS
from gptterm.document.tree import Document
from gptterm.errors import GpttermError
from gptterm.tui.state.controller import Controller

ORIGIN = "document"
_BY_OPTION = "option"


class OwnSettings:
    """The settings that a document is continued with.

    Args:
        document: returns the document, which keeps what is changed.
    """

    def __init__(self, controller: Controller, document: Callable[[], Document]) -> None:
        self._controller = controller
        self._document = document
        self._changed: set[str] = set()
        """Names of the settings that were changed here, which win over the options of the start."""
        self._merged: tuple[Settings, object, Settings] | None = None
        """The chat's settings, the document's and both."""

    @property
    def settings(self) -> Settings:
        """The chat's settings with those of the document above them."""
        base, own = self._controller.settings, self._document().settings.values
        if self._merged is None or self._merged[0] is not base or self._merged[1] is not own:
            self._merged = base, own, base.with_values(self._winning(base, own), ORIGIN)
        return self._merged[2]

    def _winning(self, base: Settings, own: Mapping[str, object]) -> dict[str, object]:
        """The values of a document that are valid, and those of options, which win over them."""
        wins = {name: value for name, value in own.items() if _is_valid(base, name, value)}
        for name, origin in base.origins.items():
            is_given = origin == _BY_OPTION and name not in self._changed
            if is_given and name in TASK_SETTINGS:
                wins[name] = base.value(name)
        return wins

    def change(self, **values: object) -> None:
        """Change settings of the document, from its next continuation on.

        Raises:
            GpttermError, ValueError: No such setting, preset or value. Nothing changes then.
        """
        document, base = self._document(), self._controller.settings
        kept = dict(document.settings.values)
        if "preset" in values:
            # It replaces what was set by hand before.
            of_presets = {name for preset in base.presets.values() for name in preset}
            kept = {name: value for name, value in kept.items() if name not in of_presets}
            self._changed |= of_presets
        for name, value in values.items():
            kept[name] = list(value) if isinstance(value, tuple) else value  # type: ignore[assignment]
        base.with_values(kept, ORIGIN)
        self._changed |= values.keys()
        document.settings = replace(document.settings, values=kept)

    def note_model(self) -> None:
        """Note the model that is loaded as the one that writes the document."""
        document, model = self._document(), self._controller.settings.model
        if document.settings.model != model:
            document.settings = replace(document.settings, model=model)

    def restore_model(self) -> str:
        """Load the model that wrote the document last, and return its name; empty: no need."""
        settings, model = self._controller.settings, self._document().settings.model
        if model in ("", settings.model) or settings.origins["model"] == _BY_OPTION:
            return ""
        self._controller.loader.load(model)
        return model


def _is_valid(base: Settings, name: str, value: object) -> bool:
    """Whether a value that was kept is one still: presets and ranges may have changed."""
    try:
        base.with_values({name: value}, ORIGIN)
    except (GpttermError, KeyError, ValueError):
        return False
    return True
