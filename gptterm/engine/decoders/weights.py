"""The safetensors files of a model directory, as one mapping from names to tensors."""

import errno
import mmap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from gptterm.engine.decoders.config import DecoderConfig, check_weight_shapes
from gptterm.engine.gguf.reader import GgufFile
from gptterm.engine.runtime.model_files import weight_files
from gptterm.engine.runtime.safetensors_header import (
    SafetensorsHeader,
    SafetensorsHeaderError,
    TensorInfo,
    read_header,
)
from gptterm.engine.stored_tensor import ARRAY_DTYPES, StoredTensor
from gptterm.errors import ModelError
from gptterm.format import escaped
from gptterm.regular_files import open_regular

_BUFFERS = (".attn.bias", ".attn.masked_bias")
"""Suffixes of constants that old GPT-2 files hold beside the weights."""
_DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "BOOL": "bool",
    **{f"I{bits}": f"int{bits}" for bits in (64, 32, 16, 8)},
    **{f"U{bits}": f"uint{bits}" for bits in (64, 32, 16, 8)},
}
"""The format's dtypes in PyTorch's spelling."""
_FLOATS = ("float64", "float32", "float16", "bfloat16")


@contextmanager
def refusing(file: Path) -> Iterator[None]:
    """Turn errors about a file into ModelError, with the remedy."""
    try:
        yield
    except FileNotFoundError as error:
        raise ModelError(f"{file} is missing; fetch the model again") from error
    except (SafetensorsHeaderError, OSError) as error:
        raise ModelError(
            f"{file} is damaged ({error}); delete it and fetch the model again"
        ) from error


def map_tensors(file: Path, header: SafetensorsHeader) -> dict[str, StoredTensor]:
    """The tensors of a safetensors file, as views into its mapping.

    Tensors that do not lie on a multiple of their element's size are copied. Those of dtypes that
    NumPy lacks are left out.

    Raises:
        SafetensorsHeaderError: a tensor has more dimensions, or larger ones, than arrays can have.
        OSError: the file cannot be mapped.
        MemoryError: no room for the mapping.
    """
    try:
        with open_regular(file) as opened:
            # The array of every tensor holds the mapping: it lasts as long as they do.
            mapping = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise MemoryError(str(error)) from error
        raise
    start = 8 + len(header.raw)
    return {
        name: _view(mapping, start, name, info)
        for name, info in header.tensors.items()
        if info.dtype in _DTYPES
    }


def _view(mapping: mmap.mmap, start: int, name: str, info: TensorInfo) -> StoredTensor:
    dtype = _DTYPES[info.dtype]
    offset = start + info.data_offsets[0]
    try:
        array = np.ndarray(tuple(info.shape), ARRAY_DTYPES[dtype], mapping, offset)
    except (TypeError, ValueError, OverflowError) as error:
        raise SafetensorsHeaderError(f"damaged: {escaped(name)} has an impossible shape") from error
    if not array.flags.aligned:
        array = array.copy()
        array.flags.writeable = False
    return StoredTensor(array, dtype)


class Weights:
    """Weights by name, as views into the mapped files.

    Args:
        prefix: removed from names that have it (`transformer.` in files with an LM head).

    Raises:
        ModelError: a file is missing or damaged.
    """

    def __init__(self, directory: Path, prefix: str = "") -> None:
        self._directory = directory
        self._tensors: dict[str, StoredTensor] = {}
        self._foreign: dict[str, str] = {}  # dtypes by name
        self._used: set[str] = set()
        for file in weight_files(directory):
            with refusing(file):
                header = read_header(file)
                tensors = map_tensors(file, header)
            for name, info in header.tensors.items():
                short = name.removeprefix(prefix)
                if name not in tensors:
                    self._foreign[short] = info.dtype
                elif not name.endswith(_BUFFERS):
                    self._tensors[short] = tensors[name]

    def get(self, name: str, *shape: int) -> StoredTensor:
        """A tensor, of the shape that config.json promises.

        Raises:
            ModelError: it is missing, or has another shape.
        """
        if name in self._foreign:
            dtype = escaped(self._foreign[name])
            raise ModelError(
                f"{self._directory} holds the weight {name} in {dtype}, which gptterm does not"
                " compute with; fetch the model in float32, float16 or bfloat16"
            )
        tensor = self._tensors.get(name)
        if tensor is None:
            raise ModelError(f"{self._directory} lacks the weight {name}; fetch the model again")
        if tensor.shape != shape:
            raise ModelError(
                f"{self._directory}: config.json promises {name} of shape {shape}, the weights hold"
                f" {tensor.shape}; the files do not belong together"
            )
        self._used.add(name)
        return tensor

    def shape_of(self, name: str) -> tuple[int, ...] | None:
        """Shape of a tensor; None if there is none of that name."""
        tensor = self._tensors.get(name)
        return None if tensor is None else tensor.shape

    def settled(self, config: DecoderConfig) -> DecoderConfig:
        """Hold config.json against the files, which say what is the LM head: as in transformers.

        A head of its own is used even where config.json calls it tied, unless it is the same. A
        file may also hold a tied matrix under the head's name alone.

        Raises:
            ModelError: the sizes differ from those of the weights.
        """
        shapes = {name: tensor.shape for name, tensor in self._tensors.items()}
        if not self._foreign:  # `get` refuses those
            check_weight_shapes(config, shapes)
        head, embedding = (
            self._tensors.get(config.own_head),
            self._tensors.get(config.token_embedding),
        )
        if not config.tie_word_embeddings or head is None:
            return config
        if embedding is None:
            self._tensors[config.token_embedding] = head
            return config
        same = head.dtype == embedding.dtype and np.array_equal(head.array, embedding.array)
        return config if same else replace(config, tie_word_embeddings=False)

    def __iter__(self) -> Iterator[StoredTensor]:
        return iter(self._tensors.values())

    @property
    def parameters(self) -> int:
        """Elements of all tensors that `get` returned; tied ones count once."""
        return sum(self._tensors[name].size for name in self._used)

    @property
    def main_type(self) -> str:
        """The dtype that holds the most numbers."""
        return main_type(self)


def main_type(tensors: Iterable[StoredTensor]) -> str:
    """The dtype, or ggml's type, that holds the most numbers."""
    sizes: dict[str, int] = {}
    for tensor in tensors:
        sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.size
    return max(sizes, key=sizes.__getitem__, default="float32")


def stored_gguf(file: GgufFile) -> tuple[str, int]:
    """As `stored_weights`, of a GGUF file that is unpacked: to float16."""
    return "float16", 2 * file.size


def stored_weights(directory: Path) -> tuple[str, int]:
    """The stored dtype of a model's weights, such as `bfloat16`, and their size in bytes.

    Raises:
        ModelError: a file is missing or damaged.
    """
    files = weight_files(directory)
    with refusing(files[0]):
        tensors = sorted(read_header(files[0]).tensors.items())
    names = (_DTYPES.get(tensor.dtype) for _, tensor in tensors)
    dtype = next((name for name in names if name in _FLOATS), "float32")
    return dtype, sum(file.stat().st_size for file in files if file.exists())
