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

from gptterm.engine.decoders.adapted_weights import AdaptedWeights
from gptterm.engine.decoders.config_values import ActivationName
from gptterm.engine.decoders.gguf_weights import GgufWeights
from gptterm.engine.decoders.layers import LinearLayer
from gptterm.engine.decoders.rotary import Rotary as RotarySettings
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

    def __init__(self, settings: RotarySettings, head_dim: int, device: torch.device) -> None:
        frequencies = settings.frequencies(head_dim)
        self._frequencies = torch.tensor(frequencies, dtype=torch.float32, device=device)
        self._magnitude = settings.magnitude
        self._head_dim = head_dim
        half = len(frequencies)
        self._first, self._second = slice(half), slice(half, 2 * half)
        if settings.neighbours:
            self._first, self._second = slice(0, 2 * half, 2), slice(1, 2 * half, 2)

    def __call__(self, positions: Tensor) -> Callable[[Tensor], Tensor]:
        """(m,) positions, or (1,) of all rows → the rotation of their queries and keys."""
        angles = (positions.float()[:, None] * self._frequencies)[:, None]  # of every head
        cosine, sine = angles.cos() * self._magnitude, angles.sin() * self._magnitude

        def rotate(x: Tensor) -> Tensor:
            """(m, heads · head_dim) → the same shape."""
            heads = x.reshape(len(x), -1, self._head_dim)
            first, second = heads[..., self._first].float(), heads[..., self._second].float()
            turned = heads.clone()
            turned[..., self._first] = (first * cosine - second * sine).to(x.dtype)
            turned[..., self._second] = (second * cosine + first * sine).to(x.dtype)
            return turned.view(x.shape)

        return rotate


_ACTIVATIONS: dict[ActivationName, Callable[[Tensor], Tensor]] = {
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "gelu": F.gelu,
    "silu": F.silu,
    "relu": F.relu,
}


class TorchLayers:
    """Implements `LayerMaker`.

    Args:
        dtype: of weights and activations.
    """

    def __init__(
        self, weights: Weights | GgufWeights | AdaptedWeights, device: str, dtype: str
    ) -> None:
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

    def rms_norm(
        self, name: str, width: int, epsilon: float, *, above: float = 0
    ) -> Callable[[Tensor], Tensor]:
        weight = self._tensor(f"{name}.weight", width)
        if above:  # in float32: in 16 bits the sum would lose half of the weight's digits
            weight = weight.float() + above

        def normalise(x: Tensor) -> Tensor:
            rows = x.reshape(-1, width).to(weight.dtype)
            return F.rms_norm(rows, (width,), weight, epsilon).to(x.dtype).view(x.shape)

        return normalise

    def rotary(self, settings: RotarySettings, head_dim: int) -> Rotary:
        return Rotary(settings, head_dim, self._device)

    def activation(self, name: ActivationName) -> Callable[[Tensor], Tensor]:
        return _ACTIVATIONS[name]

    def gate(self, name: ActivationName) -> Callable[[Tensor, Tensor], Tensor]:
        activate = _ACTIVATIONS[name]
        return lambda gate, up: activate(gate) * up

    def soft_cap(self, bound: float) -> Callable[[Tensor], Tensor]:
        return lambda x: bound * torch.tanh(x / bound)

    def conv1d(self, name: str, inputs: int, outputs: int) -> LinearLayer:
        bias = self._tensor(f"{name}.bias", outputs)
        return multiply_in_out(self._tensor(f"{name}.weight", inputs, outputs), bias)

    def linear(self, name: str, inputs: int, outputs: int, *, bias: bool = True) -> LinearLayer:
        vector = self._tensor(f"{name}.bias", outputs) if bias else None
        return multiply_in_out(self._tensor(f"{name}.weight", outputs, inputs).t(), vector)

    def group(self, *layers: LinearLayer) -> Callable[[Tensor], list[Tensor]]:
        return lambda x: [layer(x) for layer in layers]

    def lm_head(
        self, name: str, inputs: int, outputs: int, *, bias: str | None = None
    ) -> LinearLayer:
        vector = None if bias is None else self._tensor(bias, outputs)
        return lm_head(self._tensor(name, outputs, inputs), vector)

    def distance_bias(self, slopes: Sequence[float], positions: int) -> Tensor:
        at = torch.arange(positions, dtype=torch.float32, device=self._device)
        return torch.outer(torch.tensor(slopes, dtype=torch.float32, device=self._device), at)

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
