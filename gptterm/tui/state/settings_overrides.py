"""The settings in effect: those at the start, a model's own, and what was set by hand."""

from gptterm.config import Settings


class SettingsOverrides:
    """Changes lie above all other layers, and stay when those are exchanged.

    Attributes:
        settings: In effect.
    """

    def __init__(self, base: Settings) -> None:
        self.settings = base
        self._base = base
        self._changes: dict[str, object] = {}
        self._before: dict[str, object] = {}
        """The changes before the model was changed, for when that fails."""

    def change(self, **values: object) -> None:
        """Set values by hand.

        Raises:
            GpttermError, ValueError: no such setting, preset or value. Nothing changes then.
        """
        changes = {**self._changes, **values}
        if "preset" in values:
            # A preset means its values, not what was set by hand before.
            of_presets = {n for preset in self._base.presets.values() for n in preset} | {"preset"}
            changes = {n: v for n, v in changes.items() if n not in of_presets} | values
        self.settings = self._base.with_values(changes, "panel")
        self._changes = changes

    def change_model(self, name: str) -> None:
        """Set the model; `go_back` undoes it."""
        self._before = self._changes
        self.change(model=name)

    def go_back(self) -> None:
        """The model that was set cannot be had: all is as it was before."""
        self._changes = self._before
        self._apply()

    def set_model_defaults(self, values: dict[str, float | int]) -> None:
        """Exchange what a model's authors recommend."""
        self._base = self._base.with_model_defaults(values)
        self._apply()

    def _apply(self) -> None:
        base, changes = self._base, self._changes
        self.settings = base.with_values(changes, "panel") if changes else base
