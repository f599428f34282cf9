"""Names, JSON files and weight files of a model directory; imports no torch."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gptterm.errors import ModelError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def parse_json(data: bytes) -> dict[str, Any]:
    """Parse a JSON object. (json, not msgspec: configs hold NaN and Infinity.)

    Raises:
        ValueError: it is something else; the message says what, as a clause.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError("not JSON") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object; empty if there is no such file.

    Raises:
        ModelError: the file cannot be read, or holds no JSON object.
    """
    try:
        return parse_json(file.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read ({error}); fetch the model again") from error


def indexed_files(index: Mapping[str, Any]) -> list[str]:
    """The names of the weight files that an index lists, in order.

    An index comes with a model: it may name safetensors files beside it and no others.

    Raises:
        ValueError: it lists none, or others.
    """
    weight_map = index.get("weight_map")
    files = list(weight_map.values()) if isinstance(weight_map, dict) else []
    if not files or not all(_is_weight_file(file) for file in files):
        raise ValueError("it lists no weight files")
    return sorted(set(files))


def _is_weight_file(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[\w.-]+\.safetensors", name) is not None


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a model directory: one, or as many as its index lists.

    Raises:
        ModelError: the index is damaged.
    """
    whole, index = directory / WEIGHTS, directory / INDEX
    if whole.exists() or not index.exists():
        return [whole]
    try:
        return [directory / name for name in indexed_files(read_json(index))]
    except ValueError as error:
        raise ModelError(f"{index} is damaged ({error}); fetch the model again") from error


def read_ahead(files: Iterable[Path]) -> None:
    """Let the kernel read weights ahead, while the caller imports what loads them."""
    if not hasattr(os, "posix_fadvise"):
        return
    for file in files:
        try:
            descriptor = os.open(file, os.O_RDONLY)
        except OSError:
            continue  # loading it reports the error
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(descriptor)
