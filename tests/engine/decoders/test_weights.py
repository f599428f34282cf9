"""Weights of safetensors files, mapped: their bits, and files that are not what they promise."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from gptterm.engine.decoders.torch_backend.layers import as_torch
from gptterm.engine.decoders.weights import Weights, stored_weights
from gptterm.errors import ModelError

DTYPES = (
    torch.float64, torch.float32, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
)  # fmt: skip


def write(directory: Path, header: dict[str, Any], data: bytes, padding: int = 0) -> Path:
    """Write a safetensors file by hand; the header is padded by a number of blanks."""
    raw = json.dumps(header).encode()
    raw += b" " * ((-len(raw)) % 8 + padding)
    file = directory / "model.safetensors"
    file.write_bytes(len(raw).to_bytes(8, "little") + raw + data)
    return file


def entry(dtype: str, shape: list[int], start: int, end: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype(tmp_path: Path, dtype: torch.dtype) -> None:
    x = (100 * torch.randn(5, 7, generator=torch.Generator().manual_seed(0))).to(dtype)
    save_file({"transformer.x": x, "empty": x[:0]}, tmp_path / "model.safetensors")
    weights = Weights(tmp_path, prefix="transformer.")
    found = weights.get("x", 5, 7)
    assert as_torch(found).dtype is dtype
    assert torch.equal(as_torch(found), x)
    assert torch.equal(as_torch(found.T), x.t())
    assert weights.get("empty", 0, 7).size == 0
    assert weights.parameters == 35
    with pytest.raises(ValueError, match="read-only"):
        found.array[0] = 0


def test_unaligned_numbers_are_copied(tmp_path: Path) -> None:
    x = np.arange(6, dtype=np.float32)
    write(tmp_path, {"x": entry("F32", [2, 3], 0, 24)}, x.tobytes(), padding=1)
    found = Weights(tmp_path).get("x", 2, 3).array
    assert np.array_equal(found, x.reshape(2, 3))
    assert found.flags.aligned
    assert not found.flags.writeable


def test_dtypes_that_are_not_computed_with(tmp_path: Path) -> None:
    header = {"x": entry("F8_E4M3", [4], 0, 4), "y": entry("F32", [1], 4, 8)}
    write(tmp_path, header, bytes(8))
    weights = Weights(tmp_path)
    assert weights.get("y", 1).size == 1
    with pytest.raises(ModelError, match="holds the weight x in F8_E4M3"):
        weights.get("x", 4)


HEADERS: dict[str, dict[str, Any]] = {
    "beyond the file": {"x": entry("F32", [4], 0, 16)},
    "overlapping": {"x": entry("F32", [2], 0, 8), "y": entry("F32", [2], 0, 8)},
    "a hole": {"x": entry("F32", [1], 4, 8)},
    "other size": {"x": entry("F32", [3], 0, 8)},
    "negative": {"x": entry("F32", [-2], 0, 8)},
    "backwards": {"x": entry("F32", [2], 8, 0)},
    "impossibly large": {"x": entry("F32", [0, 1 << 70], 0, 0), "y": entry("F32", [2], 0, 8)},
    "many dimensions": {"x": entry("F32", [1] * 99 + [2], 0, 8)},
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_damaged_headers(header: dict[str, Any], tmp_path: Path) -> None:
    file = write(tmp_path, header, bytes(8))
    with pytest.raises(ModelError) as refused:
        Weights(tmp_path)
    message = str(refused.value)
    assert message.startswith(f"{file} is damaged (")
    assert message.endswith("; delete it and fetch the model again")


def test_missing_names_and_other_shapes(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is missing; fetch the model again"):
        Weights(tmp_path)
    save_file({"x": torch.zeros(2, 3)}, tmp_path / "model.safetensors")
    weights = Weights(tmp_path)
    with pytest.raises(ModelError, match="lacks the weight y"):
        weights.get("y", 2)
    with pytest.raises(
        ModelError, match=r"promises x of shape \(3, 2\), the weights hold \(2, 3\)"
    ):
        weights.get("x", 3, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_the_stored_dtype(tmp_path: Path, dtype: torch.dtype) -> None:
    tensors = {"a": torch.zeros(3, dtype=torch.int64), "b": torch.zeros(5, dtype=dtype)}
    save_file(tensors, tmp_path / "model.safetensors")
    name, size = stored_weights(tmp_path)
    assert f"torch.{name}" == str(dtype)
    assert size == (tmp_path / "model.safetensors").stat().st_size
