"""Values of config.json, each of the type and in the range that it must have."""

import math
from typing import Any

from gptterm.errors import ModelError
from gptterm.format import shorten


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


def shown(value: object) -> str:
    """A value of config.json, for messages."""
    return shorten(repr(value), 40)
