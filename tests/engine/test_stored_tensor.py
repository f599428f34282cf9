"""Stored numbers in other dtypes: the bits that PyTorch gives."""

import numpy as np
import pytest
import torch

from gptterm.engine.decoders.torch_backend.layers import as_torch
from gptterm.engine.stored_tensor import StoredTensor

_EVERY_HALF = np.arange(1 << 16, dtype=np.uint16).reshape(64, -1)


def _float32() -> np.ndarray:
    """float32 numbers of every size and sign: ties, subnormals, infinities and NaN among them."""
    bits = np.random.default_rng(0).integers(0, 1 << 32, (300, 1000), np.uint32)
    bits[:100] &= 0xFFFF8000  # ties
    bits[0, :6] = (0x7F800000, 0xFF800000, 0x7F800001, 0xFFFFFFFF, 0x7F7FFFFF, 1)
    return bits.view(np.float32)


def _float64() -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return _float32().astype(np.float64) * 1.0000001


STORED = {
    "bfloat16": StoredTensor(_EVERY_HALF, "bfloat16"),
    "float16": StoredTensor(_EVERY_HALF.view(np.float16), "float16"),
    "float32": StoredTensor(_float32(), "float32"),
    "float64": StoredTensor(_float64(), "float64"),
    "int32": StoredTensor(_float32().view(np.int32), "int32"),
}


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("transposed", [False, True])
def test_conversion(stored: str, dtype: str, transposed: bool) -> None:
    tensor = STORED[stored].T if transposed else STORED[stored]
    found = tensor.converted(dtype)
    expected = as_torch(tensor).to(getattr(torch, dtype))
    again = as_torch(StoredTensor(found, dtype))
    nan = torch.isnan(expected)
    assert torch.equal(torch.isnan(again), nan)
    assert torch.equal(again.masked_fill(nan, 0), expected.masked_fill(nan, 0))
    assert found.flags.f_contiguous is transposed
    assert np.shares_memory(found, tensor.array) is (dtype == stored)


def test_vectors_and_empty_ones() -> None:
    vector = StoredTensor(np.linspace(-3, 3, 7, dtype=np.float32), "float32")
    expected = as_torch(vector).to(torch.bfloat16)
    assert torch.equal(as_torch(StoredTensor(vector.converted("bfloat16"), "bfloat16")), expected)
    for shape in ((0,), (0, 3), (3, 0), ()):
        zeros = StoredTensor(np.zeros(shape, np.float32), "float32")
        assert zeros.converted("bfloat16").shape == shape


def test_rows() -> None:
    tensor = STORED["bfloat16"]
    assert np.array_equal(tensor[3:5].array, tensor.array[3:5])
    assert (tensor[3:5].dtype, len(tensor[3:5]), tensor.size) == ("bfloat16", 2, 1 << 16)
