"""Weights of GGUF files, under the names that a decoder's page knows them by."""

import mmap
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gptterm.engine.decoders.config import DecoderConfig, check_weight_shapes
from gptterm.engine.decoders.weights import main_type
from gptterm.engine.gguf.families import (
    ROPE_TENSORS,
    Family,
    Metadata,
    weight_name,
)
from gptterm.engine.gguf.reader import GgufFile, Tensor
from gptterm.engine.kernels import blocks
from gptterm.engine.kernels.compiled import library
from gptterm.engine.stored_tensor import ARRAY_DTYPES, BlockTensor, StoredTensor
from gptterm.errors import ModelError
from gptterm.format import escaped
from gptterm.regular_files import open_regular

_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""Types of one number each, in PyTorch's spelling."""


class GgufWeights:
    """Weights by name, as views into mapped files; see `Weights`, whose protocol this is.

    Args:
        file: of a family that is understood.

    Attributes:
        rope_factors: of the rotary embedding's frequencies, by the tensor's name.

    Raises:
        ModelError: a file cannot be mapped.
    """

    def __init__(self, file: GgufFile, family: Family) -> None:
        self._path = file.path
        self._tensors: dict[str, StoredTensor] = {}
        self._used: set[str] = set()
        self.rope_factors: dict[str, tuple[float, ...]] = {}
        mappings = [_mapped(path) for path in file.parts]
        for tensor in file.tensors.values():
            name, mapping = weight_name(family, tensor.name), mappings[tensor.part]
            if tensor.name in ROPE_TENSORS:
                factors = _view(mapping, tensor).converted("float32").ravel()
                self.rope_factors[tensor.name] = tuple(map(float, factors))
            elif name is not None:
                self._tensors[name] = _as_stored(file, family, name, _view(mapping, tensor))

    def get(self, name: str, *shape: int) -> StoredTensor:
        """A tensor, of the shape that the metadata promises.

        Raises:
            ModelError: it is missing, or has another shape.
        """
        tensor = self._tensors.get(name)
        if tensor is None:
            raise ModelError(f"{self._path} lacks the weight {name}; fetch the model again")
        if tensor.shape != shape:
            raise ModelError(
                f"{self._path}: its metadata promises {name} of shape {shape}, its tensor has"
                f" {tensor.shape}; fetch the model again"
            )
        self._used.add(name)
        return tensor

    def shape_of(self, name: str) -> tuple[int, ...] | None:
        """Shape of a tensor; None if there is none of that name."""
        tensor = self._tensors.get(name)
        return None if tensor is None else tensor.shape

    def check(self, config: DecoderConfig) -> None:
        """Hold the metadata's sizes against the tensors.

        Raises:
            ModelError: they differ.
        """
        check_weight_shapes(config, {name: x.shape for name, x in self._tensors.items()})

    def __iter__(self) -> Iterator[StoredTensor]:
        return iter(self._tensors.values())

    @property
    def unused(self) -> list[str]:
        """Names that no layer has asked for."""
        return sorted(self._tensors.keys() - self._used)

    @property
    def parameters(self) -> int:
        """Elements of all tensors that `get` returned; tied ones count once."""
        return sum(self._tensors[name].size for name in self._used)

    @property
    def main_type(self) -> str:
        """The dtype, or ggml's type, that holds the most numbers."""
        return main_type(self)


def _mapped(path: Path) -> mmap.mmap:
    try:
        with open_regular(path) as opened:
            return mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from error


def _view(mapping: mmap.mmap, tensor: Tensor) -> StoredTensor:
    """A tensor's numbers, or its rows of blocks, as they lie in the file."""
    dtype = _DTYPES.get(tensor.type.name)
    if dtype is not None:
        array = np.ndarray(tensor.shape, ARRAY_DTYPES[dtype], mapping, tensor.offset)
        if not array.flags.aligned:
            array = array.copy()
            array.flags.writeable = False
        return StoredTensor(array, dtype)
    *outer, width = tensor.shape
    rows = int(np.prod(outer, dtype=np.int64))
    data = np.ndarray((rows, tensor.size // rows), np.uint8, mapping, tensor.offset)
    stored = BlockTensor(data, tensor.type.name, width, _unpacker(tensor.type.name, width))
    if len(tensor.shape) == 2:
        return stored
    return StoredTensor(stored.plain().array.reshape(tensor.shape), "float32")


@cache
def _unpacker(kind: str, width: int) -> "partial[NDArray[np.float32]]":
    if kind in blocks.FORMATS and library() is not None:
        return partial(blocks.unpack, kind, width)
    return partial(_unpack_by_library, kind)


def _unpack_by_library(kind: str, rows: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(m, bytes) rows of blocks → float32, by the `gguf` package: for types without a kernel."""
    from gguf import GGMLQuantizationType, quants

    try:
        result: NDArray[np.float32] = quants.dequantize(rows, GGMLQuantizationType[kind])
    except NotImplementedError as error:
        raise ModelError(f"tensors of type {escaped(kind)} are not read here") from error
    return result


def _as_stored(file: GgufFile, family: Family, name: str, tensor: StoredTensor) -> StoredTensor:
    """A tensor as the model's own files have it."""
    layer = name.split(".")[-2]
    if family.permuted and layer in family.permuted:
        data = Metadata(file)
        heads = data.get(family.permuted[layer], data.get("attention.head_count"))
        if type(heads) is int and heads > 0 and len(tensor) % (2 * heads) == 0:
            tensor = _reordered(tensor, _unpermuted(len(tensor), heads))
    if family.regrouped == layer:
        heads = Metadata(file).get("attention.head_count")
        if type(heads) is int and heads > 0 and len(tensor) % (3 * heads) == 0:
            tensor = _reordered(tensor, _regrouped(len(tensor), heads))
    if family.raised_norms and layer.endswith("norm"):
        return StoredTensor(tensor.converted("float32") - np.float32(1), "float32")
    if layer in family.transposed and tensor.ndim == 2:
        return tensor.T
    return tensor


def _regrouped(rows: int, heads: int) -> NDArray[np.int32]:
    """Rows of all queries, keys and values in the model's order: each head's together."""
    parts = np.arange(rows, dtype=np.int32).reshape(3, heads, rows // heads // 3)
    return np.ascontiguousarray(parts.swapaxes(0, 1)).reshape(rows)


def _unpermuted(rows: int, heads: int) -> NDArray[np.int32]:
    """Rows of the file in the model's order: a head's even rows are its first half there."""
    pairs = np.arange(rows, dtype=np.int32).reshape(heads, rows // heads // 2, 2)
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(rows)


def _reordered(tensor: StoredTensor, order: NDArray[np.int32]) -> StoredTensor:
    if isinstance(tensor, BlockTensor):
        return BlockTensor(tensor.array, tensor.dtype, tensor.width, tensor.unpack, order)
    return StoredTensor(tensor.array[order], tensor.dtype)
