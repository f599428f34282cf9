"""Sizes in config.json, held against the weights before anything is built from them.

A config.json of a kilobyte can ask for a model of any size. What the weights' names and shapes
cannot hold is refused here, from the files' headers alone.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from gptterm.engine.decoders.config import check_weight_shapes
from gptterm.engine.decoders.config_parsers.registry import parse_config
from gptterm.engine.runtime.safetensors_header import SafetensorsHeader
from gptterm.errors import ModelError
from gptterm.format import escaped

_INDEX = re.compile(r"(?:^|\.)(\d{1,9})\.")
_LAYERS = re.compile(r"(?:num|n)_(?:\w+_)?layers?|\w*layers|\w*blocks|\w*depth")
_PARTS = re.compile(r"\w*(?:experts|heads?|codebooks|stages)")
_SHARED, _FEW = 8, 64
"""Layers may share weights: so many times what the weights hold are believed, and a few more."""
_MOST_PARTS = 4096
_MOST_REPEATED = 1_000_000
"""Numbers in lists of lists say how often something is repeated."""


def check_sizes(config: dict[str, Any], headers: Iterable[SafetensorsHeader], name: str) -> None:
    """Hold the sizes in config.json against the headers of all weight files.

    Raises:
        ModelError: the weights cannot be those of such a model.
    """
    shapes = {
        label: tuple(tensor.shape) for header in headers for label, tensor in header.tensors.items()
    }
    native = parse_config(config)
    if native is not None:
        check_weight_shapes(native, shapes)
        return
    layers = 1 + max((int(i) for label in shapes for i in _INDEX.findall(label)), default=-1)
    widest = max((max(shape, default=0) for shape in shapes.values()), default=0)
    most_parts = max(layers, widest, _MOST_PARTS)
    for key, value, depth in _numbers(config):
        if _LAYERS.fullmatch(key) and value > _SHARED * layers + _FEW:
            raise _unbelievable(name, key, value, f"{layers} layers")
        if (_PARTS.fullmatch(key) and value > most_parts) or (depth > 1 and value > _MOST_REPEATED):
            raise _unbelievable(name, key, value, f"{layers} layers of at most {widest:,} rows")


def _numbers(value: Any, key: str = "", depth: int = 0) -> Iterator[tuple[str, int, int]]:
    """Yield the integers of config.json with their keys, and how many lists they are in."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _numbers(inner, name)
    elif isinstance(value, list):
        for inner in value:
            yield from _numbers(inner, key, depth + 1)
    elif type(value) is int:
        yield key, value, depth


def _unbelievable(name: str, key: str, value: int, held: str) -> ModelError:
    return ModelError(
        f"{escaped(name)}: config.json has {escaped(key)} {value:.3g}, the weights hold {held}; "
        "the files do not belong together: fetch the model again"
    )
