"""A model's int8 weights by name: read from a conversion that was kept, or made when asked for."""

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


def quantise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(out, in) weights → int8 of the same shape, and (out,) float32 scales."""
    weight = weight.float()
    low, high = torch.aminmax(weight, dim=1)
    scales = torch.maximum(-low, high).clamp_min(1e-30) / 127
    # In place, block by block: a vocabulary's worth of float32 is no small copy.
    result = torch.empty(weight.shape, dtype=torch.int8)
    for start in range(0, len(weight), 4096):
        block = slice(start, start + 4096)
        result[block] = (weight[block] / scales[block, None]).round_()
    return result, scales


_WEIGHT, _SCALES = ".int8", ".scales"


class Int8Weights:
    """int8 weights and their scales.

    Args:
        kept: tensors as `read` returned them.

    Attributes:
        tensors: all that were taken, as `write` wants them.
        made: whether any of them had to be made.
    """

    def __init__(self, kept: Mapping[str, Tensor] | None = None) -> None:
        self._kept = kept or {}
        self.tensors: dict[str, Tensor] = {}
        self.made = False

    def take(self, name: str, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The kernels' panels and (out,) scales for the (out, in) weights of a layer."""
        panels, scales = self._kept.get(name + _WEIGHT), self._kept.get(name + _SCALES)
        if panels is None or scales is None or panels.shape != packed_int8_shape(*weight.shape):
            values, scales = quantise(weight)
            panels = pack_int8(values)
            self.made = True
        self.tensors |= {name + _WEIGHT: panels, name + _SCALES: scales}
        return panels, scales


def write(file: Path, tensors: dict[str, Tensor], facts: Mapping[str, str]) -> None:
    """Write a conversion that only this user may read, whole or not at all.

    Raises:
        OSError: no room, or no right to.
    """
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    sums = json.dumps({name: _sum(tensor) for name, tensor in tensors.items()})
    try:
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        save_file(tensors, part, metadata={**facts, "sums": sums})
        part.replace(file)
    except SafetensorError as error:  # how that library says that the disk is full
        raise OSError(str(error)) from error
    finally:
        part.unlink(missing_ok=True)


def read(file: Path) -> dict[str, Tensor] | None:
    """The tensors of a conversion, as views into the mapped file; None if it is damaged."""
    try:
        with safe_open(file, framework="pt") as opened:
            sums = json.loads((opened.metadata() or {}).get("sums", ""))
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
            whole = sums == {name: _sum(tensor) for name, tensor in tensors.items()}
    except (SafetensorError, OSError, ValueError):
        return None
    return tensors if whole else None


def _sum(tensor: Tensor) -> int:
    return zlib.crc32(tensor.contiguous().numpy().data)
