"""A model directory's files, found without torch."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gptterm.errors import ModelError

_INDEX = "model.safetensors.index.json"


def read_json(file: Path) -> dict[str, Any]:
    """The object in a JSON file; empty if there is no such file.

    Raises:
        ModelError: the file cannot be read, or holds no JSON object.
    """
    try:
        value = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelError(f"{file} cannot be read ({error}); fetch the model again") from error
    if not isinstance(value, dict):
        raise ModelError(f"{file} does not hold a JSON object; fetch the model again")
    return value


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a model directory: one, or as many as its index lists.

    Raises:
        ModelError: the index is damaged.
    """
    whole = directory / "model.safetensors"
    index = {} if whole.exists() else read_json(directory / _INDEX)
    if not index:
        return [whole]
    places = index.get("weight_map")
    names = set(map(str, places.values())) if isinstance(places, dict) else set()
    # An index comes with a model: it may name files beside it and no others.
    if not names or any(Path(name).name != name for name in names):
        raise ModelError(f"{directory / _INDEX} is damaged; fetch the model again")
    return [directory / name for name in sorted(names)]


def read_ahead(files: Iterable[Path]) -> None:
    """Ask the kernel to start reading the weights, while the caller goes on importing torch."""
    if not hasattr(os, "posix_fadvise"):
        return
    for file in files:
        try:
            descriptor = os.open(file, os.O_RDONLY)
        except OSError:
            continue  # whoever reads it will say so
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
        finally:
            os.close(descriptor)
