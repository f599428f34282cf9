"""Values of config.json, each of the type and in the range that it must have."""

import math
from collections.abc import Mapping
from typing import Any, Literal

from gptterm.errors import ModelError
from gptterm.format import shorten

ActivationName = Literal["gelu_tanh", "gelu", "silu", "relu"]
"""`gelu_tanh` is GELU's tanh approximation (Hendrycks and Gimpel, 2016)."""


class VariantError(Exception):
    """Why a config.json describes what no native decoder computes, in a few words."""


def count(config: dict[str, Any], name: str, default: int, most: int = 2**31 - 1) -> int:
    """A positive integer.

    Raises:
        ModelError: it is something else, or greater than `most`.
    """
    value = config.get(name, default)
    if type(value) is not int or not 0 < value < 2**31:
        raise ModelError(f"config.json: {name} must be a positive integer, not {shown(value)}")
    if value > most:
        raise ModelError(f"config.json: {name} must be at most {most:,}, not {shown(value)}")
    return value


def number(config: dict[str, Any], name: str, default: float, *, above: float = 0) -> float:
    """A finite number.

    Raises:
        ModelError: it is something else, or not greater than `above`.
    """
    value = config.get(name, default)
    if type(value) not in (int, float) or not above < value < math.inf:
        raise ModelError(
            f"config.json: {name} must be a number above {above:g}, not {shown(value)}"
        )
    return float(value)


def epsilon(config: dict[str, Any], name: str, default: float) -> float:
    """The epsilon of norms.

    Raises:
        ModelError: it is no number from 0.
    """
    value = config.get(name, default)
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise ModelError(f"config.json: {name} must be a number from 0, not {shown(value)}")
    return float(value)


def flag(config: dict[str, Any], name: str, default: bool) -> bool:
    """A boolean.

    Raises:
        ModelError: it is something else.
    """
    value = config.get(name, default)
    if not isinstance(value, bool):
        raise ModelError(f"config.json: {name} must be true or false, not {shown(value)}")
    return value


_ACTIVATIONS: dict[str, ActivationName] = {
    "gelu": "gelu",
    "gelu_fast": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
"""By transformers' names."""


def activation(config: dict[str, Any], name: str, default: str) -> ActivationName:
    """The activation of a block's MLP.

    Raises:
        VariantError: there is no layer for it.
    """
    value = config.get(name, default)
    found = _ACTIVATIONS.get(value) if isinstance(value, str) else None
    if found is None:
        raise VariantError(f"the activation {shown(value)}")
    return found


def layer_kinds(
    config: dict[str, Any], kinds: Mapping[str, int | None], default: list[str]
) -> tuple[int | None, ...]:
    """The attention window of each layer, by its kind in `layer_types`.

    Args:
        default: the kinds where `layer_types` is missing or null.

    Raises:
        VariantError: another kind, or not one a layer.
    """
    given = config.get("layer_types")
    named = default if given is None else given
    if (
        not isinstance(named, list)
        or len(named) != len(default)
        or not all(isinstance(kind, str) and kind in kinds for kind in named)
    ):
        raise VariantError(f"layer_types of {shown(named)}")
    return tuple(kinds[kind] for kind in named)


def renamed(config: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """A config.json in which values under another name for the same win: as in transformers.

    Args:
        names: those under which they are asked for, by their others (`attribute_map`).
    """
    return config | {ours: config[name] for name, ours in names.items() if name in config}


def shown(value: object) -> str:
    """A value of config.json, for messages."""
    return shorten(repr(value), 40)
