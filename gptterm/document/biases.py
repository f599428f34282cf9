"""Biases of tokens that hold for one document; -inf is a ban."""

from collections.abc import Mapping

from gptterm.engine.api import ModelInfo


class Biases:
    """Values added to the logits of tokens, by the model that has them."""

    def __init__(self) -> None:
        self._values: dict[str, dict[int, float]] = {}

    def of(self, info: ModelInfo | None) -> Mapping[int, float]:
        """Return those of a model's tokens, by id."""
        return {} if info is None else self._values.get(info.name, {})

    def set(self, info: ModelInfo, token_id: int, value: float) -> None:
        """Change that of a token; 0 is none."""
        values = {**self.of(info), token_id: value}
        self._values[info.name] = {id_: bias for id_, bias in values.items() if bias}
