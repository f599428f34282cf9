"""What a model's config.json promises about its size."""

from dataclasses import dataclass
from typing import Any

from gptterm.errors import ModelError


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The numbers that the native decoders' forward passes depend on, by one name each.

    Raises:
        ModelError: the heads do not share the width evenly.
    """

    vocab_size: int
    context_length: int
    width: int
    """Numbers in a token's hidden state."""
    inner: int
    """Numbers in the hidden layer of a block's MLP."""
    layers: int
    heads: int
    epsilon: float
    """Of the layer norms."""
    tied: bool
    """Whether the head is the token embedding."""
    windows: tuple[int | None, ...] = ()
    """GPT-Neo's: how many tokens each layer looks at, None for all."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ModelError(
                f"config.json: the width {self.width} is not a multiple of the {self.heads} heads"
            )

    @property
    def head_dim(self) -> int:
        return self.width // self.heads


def size(config: dict[str, Any], name: str, default: int) -> int:
    """A number of config.json that counts something.

    Raises:
        ModelError: it does not.
    """
    value = config.get(name, default)
    if type(value) is not int or value < 1:
        raise ModelError(f"config.json: {name} must be a positive integer, not {value!r}")
    return value


def epsilon(config: dict[str, Any]) -> float:
    """What config.json says is added to a layer norm's variance.

    Raises:
        ModelError: no number.
    """
    value = config.get("layer_norm_epsilon", 1e-5)
    if type(value) not in (int, float):
        raise ModelError(f"config.json: layer_norm_epsilon must be a number, not {value!r}")
    return float(value)
