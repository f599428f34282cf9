"""Settings changed in the TUI, on top of all other layers."""

from collections.abc import Mapping

import msgspec

from gptterm.config import Settings

_OF_MODEL = ("model", "adapter")


class SettingsOverrides:
    """Changes made by hand; they stay when a layer below is replaced.

    Attributes:
        settings: The settings in effect.
    """

    def __init__(self, base: Settings) -> None:
        self.settings = base
        self._base = base
        self._biases: dict[int, float] = {}
        self._changes: dict[str, object] = {}
        self._loaded_model: dict[str, object] = {}
        """The change of the model that was in effect at the last load, if there was one."""

    def change(self, **values: object) -> None:
        """Change settings.

        Raises:
            GpttermError, ValueError: No such setting, preset or value. Nothing changes then.
        """
        changes = {**self._changes, **values}
        if "preset" in values:
            # A preset replaces what was set by hand before.
            of_presets = {n for preset in self._base.presets.values() for n in preset} | {"preset"}
            changes = {n: v for n, v in changes.items() if n not in of_presets} | values
        self.settings = self._biased(self._base.with_values(changes, "panel"))
        self._changes = changes

    def change_model(self, name: str) -> None:
        """Change the model; adapters are for the one that they were given with."""
        self._changes.pop("adapter", None)
        own = {} if name == self._base.model else {"adapter": ()}
        self.change(model=name, **own)

    @property
    def biases(self) -> Mapping[int, float]:
        """Values added to the logits of the loaded model's tokens, by id."""
        return self._biases

    def set_bias(self, token_id: int, value: float) -> None:
        """Change a token's bias; 0 is none."""
        biases = {**self._biases, token_id: value}
        self._biases = {id_: bias for id_, bias in biases.items() if bias}
        self._apply()

    def clear_biases(self) -> None:
        """Drop all: another model has other ids."""
        self._biases = {}
        self._apply()

    def _biased(self, settings: Settings) -> Settings:
        bias = (*self._base.sampling.logit_bias, *self._biases.items())
        sampling = msgspec.structs.replace(settings.sampling, logit_bias=bias)
        return msgspec.structs.replace(settings, sampling=sampling)

    def keep_model(self) -> None:
        """Note that the model was loaded, for `undo_change_model`."""
        self._loaded_model = {n: v for n, v in self._changes.items() if n in _OF_MODEL}

    def undo_change_model(self) -> None:
        """Return to the model that was loaded last; other changes made since stay."""
        others = {n: v for n, v in self._changes.items() if n not in _OF_MODEL}
        self._changes = others | self._loaded_model
        self._apply()

    def set_model_defaults(self, values: dict[str, float | int]) -> None:
        """Replace the layer of values recommended by the model's authors."""
        self._base = self._base.with_model_defaults(values)
        self._apply()

    def _apply(self) -> None:
        base, changes = self._base, self._changes
        self.settings = self._biased(base.with_values(changes, "panel") if changes else base)
