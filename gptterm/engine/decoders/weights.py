"""The safetensors files of a model directory, as one mapping from names to tensors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gptterm.engine.runtime.model_files import weight_files
from gptterm.engine.runtime.safetensors_header import SafetensorsHeaderError, read_header
from gptterm.errors import ModelError

_BUFFERS = (".attn.bias", ".attn.masked_bias")
"""Suffixes of constants that old GPT-2 files hold beside the weights."""
_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Map a safetensors file.

    Raises:
        ModelError: it is missing or damaged.
    """
    with _refusing(file), safe_open(file, framework="pt") as opened:
        yield opened


@contextmanager
def _refusing(file: Path) -> Iterator[None]:
    """Turn errors about a file into ModelError, with the remedy."""
    try:
        yield
    except FileNotFoundError as error:
        raise ModelError(f"{file} is missing; fetch the model again") from error
    except (SafetensorError, SafetensorsHeaderError, OSError) as error:
        raise ModelError(
            f"{file} is damaged ({error}); delete it and fetch the model again"
        ) from error


class Weights:
    """Weights by name, as views into the mapped files.

    Args:
        prefix: removed from names that have it (`transformer.` in files with an LM head).

    Raises:
        ModelError: a file is missing or damaged.
    """

    def __init__(self, directory: Path, prefix: str = "") -> None:
        self._directory = directory
        self._tensors: dict[str, Tensor] = {}
        self._used: set[str] = set()
        for file in weight_files(directory):
            with _opened(file) as opened:
                for name in opened.keys():  # noqa: SIM118 (it is no mapping)
                    if not name.endswith(_BUFFERS):
                        self._tensors[name.removeprefix(prefix)] = opened.get_tensor(name)

    def get(self, name: str, *shape: int) -> Tensor:
        """A tensor, of the shape that config.json promises.

        Raises:
            ModelError: it is missing, or has another shape.
        """
        tensor = self._tensors.get(name)
        if tensor is None:
            raise ModelError(f"{self._directory} lacks the weight {name}; fetch the model again")
        if tensor.shape != shape:
            raise ModelError(
                f"{self._directory}: config.json promises {name} of shape {shape}, the weights hold"
                f" {tuple(tensor.shape)}; the files do not belong together"
            )
        self._used.add(name)
        return tensor

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self._tensors.values())

    @property
    def parameters(self) -> int:
        """Elements of all tensors that `get` returned; tied ones count once."""
        return sum(self._tensors[name].numel() for name in self._used)


def stored_weights(directory: Path, gguf_file: str | None) -> tuple[torch.dtype, int]:
    """The stored dtype of a model's weights, and their size in bytes.

    A GGUF file counts as float16, to which it is unpacked.

    Raises:
        ModelError: a file is missing or damaged.
    """
    if gguf_file is not None:
        return torch.float16, 2 * (directory / gguf_file).stat().st_size
    files = weight_files(directory)
    with _refusing(files[0]):
        tensors = sorted(read_header(files[0]).tensors.items())
    names = (tensor.dtype for _, tensor in tensors)
    dtype = next((_DTYPES[name] for name in names if name in _DTYPES), torch.float32)
    return dtype, sum(file.stat().st_size for file in files if file.exists())
