"""Layers on torch's operations, from a model's weights.

Weights stay views into the mapped files where dtype and device allow it: nothing is copied or
converted at start-up.
"""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gptterm.engine.decoders.gguf_weights import GgufWeights
from gptterm.engine.decoders.layers import LinearLayer
from gptterm.engine.decoders.torch_backend.linear import lm_head, multiply_in_out
from gptterm.engine.decoders.weights import Weights
from gptterm.engine.runtime.device import configure_threads
from gptterm.engine.stored_tensor import StoredTensor


class Embedding:
    """Table of vectors."""

    def __init__(self, table: Tensor) -> None:
        self._table = table

    def __call__(self, index: Tensor, residual: Tensor | None = None) -> Tensor:
        """(m,) integers → (m, width), with `residual` of that shape added."""
        rows = self._table[index]
        return rows if residual is None else residual + rows


class Rotary:
    """Rotary embedding, whose angles are computed in float32 for the positions of each step."""

    def __init__(self, frequencies: Sequence[float], head_dim: int, device: torch.device) -> None:
        self._frequencies = torch.tensor(frequencies, dtype=torch.float32, device=device)
        self._head_dim = head_dim

    def __call__(self, positions: Tensor) -> Callable[[Tensor], Tensor]:
        """(m,) positions, or (1,) of all rows → the rotation of their queries and keys."""
        angles = (positions.float()[:, None] * self._frequencies)[:, None]  # of every head
        cosine, sine = angles.cos(), angles.sin()
        half = len(self._frequencies)

        def rotate(x: Tensor) -> Tensor:
            """(m, heads · head_dim) → the same shape."""
            heads = x.view(len(x), -1, self._head_dim)
            first, second = heads[..., :half].float(), heads[..., half : 2 * half].float()
            turned = (first * cosine - second * sine, second * cosine + first * sine)
            rest = heads[..., 2 * half :]
            return torch.cat((*(part.to(x.dtype) for part in turned), rest), -1).view_as(x)

        return rotate


class TorchLayers:
    """Implements `LayerMaker`.

    Args:
        dtype: of weights and activations.
    """

    def __init__(self, weights: Weights | GgufWeights, device: str, dtype: str) -> None:
        configure_threads()
        self._weights = weights
        self._device = torch.device(device)
        self._dtype: torch.dtype = getattr(torch, dtype)
        self._tensors: dict[str, Tensor] = {}

    def embedding(self, name: str, rows: int, width: int) -> Embedding:
        return Embedding(self._tensor(name, rows, width))

    def norm(self, name: str, width: int, epsilon: float) -> Callable[[Tensor], Tensor]:
        weight = self._tensor(f"{name}.weight", width)
        bias = self._tensor(f"{name}.bias", width)
        return lambda x: torch.layer_norm(x, (width,), weight, bias, epsilon)

    def rms_norm(self, name: str, width: int, epsilon: float) -> Callable[[Tensor], Tensor]:
        weight = self._tensor(f"{name}.weight", width)
        return lambda x: F.rms_norm(x.view(-1, width), (width,), weight, epsilon).view_as(x)

    def rotary(self, frequencies: Sequence[float], head_dim: int) -> Rotary:
        return Rotary(frequencies, head_dim, self._device)

    def silu_gate(self) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda gate, up: F.silu(gate) * up

    def gelu(self) -> Callable[[Tensor], Tensor]:
        return lambda x: F.gelu(x, approximate="tanh")

    def conv1d(self, name: str, inputs: int, outputs: int) -> LinearLayer:
        bias = self._tensor(f"{name}.bias", outputs)
        return multiply_in_out(self._tensor(f"{name}.weight", inputs, outputs), bias)

    def linear(self, name: str, inputs: int, outputs: int, *, bias: bool = True) -> LinearLayer:
        vector = self._tensor(f"{name}.bias", outputs) if bias else None
        return multiply_in_out(self._tensor(f"{name}.weight", outputs, inputs).t(), vector)

    def lm_head(self, name: str, inputs: int, outputs: int) -> LinearLayer:
        return lm_head(self._tensor(name, outputs, inputs))

    def _tensor(self, name: str, *shape: int) -> Tensor:
        """Weights as a tensor, the same one for every call."""
        if name not in self._tensors:
            weight = as_torch(self._weights.get(name, *shape).plain())
            self._tensors[name] = weight.to(self._device, self._dtype)
        return self._tensors[name]


def as_torch(stored: StoredTensor) -> Tensor:
    """View of stored numbers as a tensor, which must not be written to."""
    bits = stored.dtype == "bfloat16"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        tensor = torch.from_numpy(stored.array.view(np.int16) if bits else stored.array)
    return tensor.view(torch.bfloat16) if bits else tensor
