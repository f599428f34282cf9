"""A model directory's safetensors files as one read-only mapping from names to tensors."""

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from gptterm.engine.files import weight_files
from gptterm.errors import ModelError

_BUFFERS = (".attn.bias", ".attn.masked_bias")
"""Constants that old GPT-2 files hold beside the weights."""


class Weights:
    """Tensors by name, each a view into its mapped file until it is converted.

    Args:
        prefix: dropped from names that have it (`transformer.` in files that hold the head too).

    Raises:
        ModelError: a file cannot be read as safetensors.
    """

    def __init__(self, directory: Path, prefix: str = "") -> None:
        self._directory = directory
        self._tensors: dict[str, Tensor] = {}
        for file in weight_files(directory):
            try:
                with safe_open(file, framework="pt") as opened:
                    for name in opened.keys():  # noqa: SIM118 (it is no mapping)
                        if not name.endswith(_BUFFERS):
                            self._tensors[name.removeprefix(prefix)] = opened.get_tensor(name)
            except (SafetensorError, OSError) as error:
                raise ModelError(
                    f"{file} is damaged ({error}); delete it and fetch the model again"
                ) from error

    def __getitem__(self, name: str) -> Tensor:
        try:
            return self._tensors[name]
        except KeyError:
            raise ModelError(
                f"{self._directory} lacks the weight {name}; fetch the model again"
            ) from None

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    @property
    def parameters(self) -> int:
        """Numbers in all tensors together; tied ones are counted once."""
        return sum(t.numel() for t in self._tensors.values() if t.dtype.is_floating_point)


def stored_weights(directory: Path, gguf_file: str | None) -> tuple[torch.dtype, int]:
    """The dtype that a model's weights are kept in, and their bytes.

    A GGUF file counts as float16: it is unpacked when it is loaded.
    """
    if gguf_file is not None:
        return torch.float16, 2 * (directory / gguf_file).stat().st_size
    files = weight_files(directory)
    with safe_open(files[0], framework="pt") as opened:
        dtypes = (opened.get_tensor(name).dtype for name in opened.keys())  # noqa: SIM118
        dtype: torch.dtype = next((d for d in dtypes if d.is_floating_point), torch.float32)
    return dtype, sum(file.stat().st_size for file in files)
