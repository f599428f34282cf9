"""int8 weights: quantisation, and the file of a converted model."""

import json
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gptterm.engine.kernels.linear import pack_int8, packed_int8_shape

_WEIGHT, _SCALES = ".int8", ".scales"
"""Suffixes of a layer's tensors in the file."""
_CHECKSUMS = "sums"
"""Key of the tensors' CRC-32 in the file's metadata."""
_ROWS_AT_ONCE = 4096


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Quantise (out, in) weights symmetrically, one scale for each output.

    Returns:
        int8 of the same shape, and (out,) float32 scales.
    """
    weight = weight.float()
    low, high = torch.aminmax(weight, dim=1)
    scales = torch.maximum(-low, high).clamp_min(1e-30) / 127
    # In blocks: a float32 copy of a vocabulary's weights is large.
    result = torch.empty(weight.shape, dtype=torch.int8)
    for start in range(0, len(weight), _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        result[block] = (weight[block] / scales[block, None]).round_()
    return result, scales


class Int8Weights:
    """Packed int8 weights and scales of a model's layers, loaded or quantised on demand.

    Args:
        loaded: tensors of a conversion, from `load_conversion`.

    Attributes:
        tensors: all that were asked for, for `save_conversion`.
        quantised: whether any of them was not in `loaded`.
    """

    def __init__(self, loaded: Mapping[str, Tensor] | None = None) -> None:
        self._loaded = loaded or {}
        self.tensors: dict[str, Tensor] = {}
        self.quantised = False

    def get(self, name: str, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The packed weights and (out,) scales of a layer with (out, in) weights."""
        packed, scales = self._loaded.get(name + _WEIGHT), self._loaded.get(name + _SCALES)
        if packed is None or scales is None or not _fits(packed, scales, weight):
            values, scales = quantise(weight)
            packed = pack_int8(values)
            self.quantised = True
        self.tensors |= {name + _WEIGHT: packed, name + _SCALES: scales}
        return packed, scales


def _fits(packed: Tensor, scales: Tensor, weight: Tensor) -> bool:
    """Whether the tensors of a conversion are those of a layer with these weights."""
    return (
        (packed.dtype, scales.dtype) == (torch.uint8, torch.float32)
        and packed.shape == packed_int8_shape(*weight.shape)
        and scales.shape == weight.shape[:1]
    )


def save_conversion(file: Path, tensors: dict[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write the file of a converted model atomically, readable by this user only.

    Raises:
        OSError: the disk is full, or the folder is not writable.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    checksums = json.dumps({name: _checksum(tensor) for name, tensor in tensors.items()})
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        save_file(tensors, part, metadata={**metadata, _CHECKSUMS: checksums})
        part.replace(file)
    except SafetensorError as error:  # raised for a full disk, too
        raise OSError(str(error)) from error
    finally:
        part.unlink(missing_ok=True)


def load_conversion(file: Path) -> dict[str, Tensor] | None:
    """Load the tensors of a converted model, as views into the mapped file; None if damaged."""
    try:
        with safe_open(file, framework="pt") as opened:
            checksums = json.loads((opened.metadata() or {}).get(_CHECKSUMS, ""))
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            whole = checksums == {name: _checksum(tensor) for name, tensor in tensors.items()}
    except (SafetensorError, OSError, ValueError):
        return None
    return tensors if whole else None


def _checksum(tensor: Tensor) -> int:
    return zlib.crc32(tensor.contiguous().numpy().data)
