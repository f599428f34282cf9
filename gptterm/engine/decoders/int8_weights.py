"""int8 weights of a model, and the file of a converted model."""

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptterm.engine.decoders.weights import map_tensors
from gptterm.engine.kernels.int8 import quantise
from gptterm.engine.kernels.linear import packed_int8_shape
from gptterm.engine.runtime.safetensors_header import read_header
from gptterm.engine.runtime.safetensors_writer import write_tensors
from gptterm.engine.stored_tensor import StoredTensor
from gptterm.errors import ModelError

_WEIGHT, _SCALES = ".int8", ".scales"
"""Suffixes of a layer's arrays in the file."""
_CHECKSUMS = "sums"
"""Key of the arrays' CRC-32 in the file's metadata."""


class Int8Weights:
    """Packed int8 weights and scales of a model's layers, loaded or quantised on demand.

    Args:
        loaded: arrays of a conversion, from `load_conversion`.

    Attributes:
        arrays: all that were asked for, for `save_conversion`.
        quantised: whether any of them was not in `loaded`.
    """

    def __init__(self, loaded: Mapping[str, NDArray[Any]] | None = None) -> None:
        self._loaded = loaded or {}
        self.arrays: dict[str, NDArray[Any]] = {}
        self.quantised = False

    def get(self, name: str, weight: StoredTensor) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """The packed weights and (out,) scales of a layer with (out, in) weights."""
        packed, scales = self._loaded.get(name + _WEIGHT), self._loaded.get(name + _SCALES)
        if packed is None or scales is None or not _fits(packed, scales, weight):
            packed, scales = quantise(weight)
            self.quantised = True
        self.arrays |= {name + _WEIGHT: packed, name + _SCALES: scales}
        return packed, scales


def _fits(packed: NDArray[Any], scales: NDArray[Any], weight: StoredTensor) -> bool:
    """Whether the arrays of a conversion are those of a layer with these weights."""
    outputs, inputs = weight.shape
    return (
        packed.dtype == np.uint8
        and scales.dtype == np.float32
        and packed.shape == packed_int8_shape(outputs, inputs)
        and scales.shape == (outputs,)
    )


def save_conversion(
    file: Path, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write the file of a converted model atomically, readable by this user only.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    checksums = json.dumps({name: _checksum(array) for name, array in arrays.items()})
    try:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            write_tensors(opened, arrays, {**metadata, _CHECKSUMS: checksums})
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def load_conversion(file: Path) -> dict[str, NDArray[Any]] | None:
    """Load the arrays of a converted model, as views into the mapped file; None if damaged."""
    try:
        header = read_header(file)
        checksums = json.loads(header.metadata.get(_CHECKSUMS, ""))
        arrays = {name: stored.array for name, stored in map_tensors(file, header).items()}
        whole = checksums == {name: _checksum(array) for name, array in arrays.items()}
    except (ModelError, OSError, ValueError, RecursionError):
        return None
    return arrays if whole else None


def _checksum(array: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(array).data)
