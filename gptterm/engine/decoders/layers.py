"""Layers of the native decoders, loaded from a model's weights for one device and dtype.

Weights stay views into the mapped files where dtype and device allow it: nothing is copied or
converted at start-up.
"""

import warnings
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gptterm.engine.decoders import torch_linear
from gptterm.engine.decoders.int8_weights import Int8Weights
from gptterm.engine.decoders.torch_linear import LinearLayer
from gptterm.engine.decoders.weights import Weights
from gptterm.engine.kernels import elementwise, linear
from gptterm.engine.runtime.memory import FilePages
from gptterm.engine.stored_tensor import StoredTensor

LayerNorm = Callable[[Tensor], Tensor]


class LayerLoader:
    """Loads layers by the names of their weights.

    Every method raises ModelError if a weight is missing or has another shape.

    Args:
        int8_weights: supplies the weights of int8 layers.

    Attributes:
        compute_dtype: of the activations.
        cache_dtype: of keys and values.

    Raises:
        ModelError: this CPU has no kernels for the dtype.
    """

    def __init__(
        self, weights: Weights, device: str, dtype: str, int8_weights: Int8Weights | None = None
    ) -> None:
        self._weights = weights
        self._int8_weights = int8_weights or Int8Weights()
        self._device = torch.device(device)
        self._dtype = dtype
        self._tensors: dict[str, Tensor] = {}
        self._pages = FilePages()
        self._kernels = device == "cpu" and torch_linear.kernels_available(dtype)
        self._converts = self._kernels and dtype != "float32"
        # The kernels compute in float32, whatever the weights' dtype.
        self.compute_dtype: torch.dtype = torch.float32 if self._kernels else getattr(torch, dtype)
        # float16 halves what a step reads of a long context; more precise than bfloat16, and than
        # int8 needs.
        self.cache_dtype = torch.float16 if self._converts else self.compute_dtype

    def tensor(self, name: str, *shape: int) -> Tensor:
        """Weights as a tensor, the same one for every call."""
        if name not in self._tensors:
            weight = as_torch(self._weights.get(name, *shape))
            # Vectors lie on the same pages as weights that are released after conversion.
            copy = self._converts and weight.ndim == 1
            self._tensors[name] = weight.to(self._device, self.compute_dtype, copy=copy)
        return self._tensors[name]

    def norm(self, name: str, width: int, epsilon: float) -> LayerNorm:
        """Layer normalisation (Ba et al., 2016)."""
        weight = self.tensor(f"{name}.weight", width)
        bias = self.tensor(f"{name}.bias", width)
        if self._kernels:
            return elementwise.LayerNorm(weight, bias, epsilon)
        return lambda x: torch.layer_norm(x, (width,), weight, bias, epsilon)

    @property
    def gelu(self) -> Callable[[Tensor], Tensor]:
        """GELU's tanh approximation, which the whole family uses; may overwrite its input."""
        return elementwise.gelu if self._kernels else lambda x: F.gelu(x, approximate="tanh")

    def conv1d(self, name: str, inputs: int, outputs: int) -> LinearLayer:
        """x · W + b with W stored (in, out), as in OpenAI's files: a convolution of width 1."""
        bias = self.tensor(f"{name}.bias", outputs)
        if self._kernels:
            weight = self._weights.get(f"{name}.weight", inputs, outputs)
            return self._kernel_linear(name, weight.T, bias)
        return torch_linear.linear(self.tensor(f"{name}.weight", inputs, outputs), bias)

    def linear(self, name: str, inputs: int, outputs: int, *, bias: bool = True) -> LinearLayer:
        """x · Wᵀ + b with W stored (out, in)."""
        vector = self.tensor(f"{name}.bias", outputs) if bias else None
        if self._kernels:
            weight = self._weights.get(f"{name}.weight", outputs, inputs)
            return self._kernel_linear(name, weight, vector)
        return torch_linear.linear(self.tensor(f"{name}.weight", outputs, inputs).t(), vector)

    def lm_head(self, name: str, inputs: int, outputs: int) -> LinearLayer:
        """x · Wᵀ with W stored (vocabulary, in), which may be the token embedding."""
        if self._kernels:
            return self._kernel_linear(name, self._weights.get(name, outputs, inputs), None)
        return torch_linear.lm_head(self.tensor(name, outputs, inputs))

    def release_pages(self) -> None:
        """Release the pages of converted weights; to be called once all layers are loaded."""
        if self._converts:
            for weight in self._weights:
                self._pages.release(weight.array)

    def _kernel_linear(self, name: str, stored: StoredTensor, bias: Tensor | None) -> LinearLayer:
        """A layer on the CPU kernels, from (out, in) weights."""
        weight = as_torch(stored)
        if self._dtype == "float32":
            return linear.float32(weight.float(), bias)
        if self._dtype == "int8":
            packed, scales = self._int8_weights.get(name, stored)
            self._pages.release(stored.array)
            panels = as_torch(StoredTensor(packed, "uint8"))
            return linear.int8(
                panels, as_torch(StoredTensor(scales, "float32")), stored.shape[1], bias
            )
        return linear.half(weight, getattr(torch, self._dtype), bias, self._release)

    def _release(self, part: Tensor) -> None:
        bits = {8: torch.int64, 4: torch.int32, 2: torch.int16, 1: torch.int8}[part.itemsize]
        self._pages.release(part.view(bits).numpy())


def as_torch(stored: StoredTensor) -> Tensor:
    """View of stored numbers as a tensor, which must not be written to."""
    bits = stored.dtype == "bfloat16"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        tensor = torch.from_numpy(stored.array.view(np.int16) if bits else stored.array)
    return tensor.view(torch.bfloat16) if bits else tensor
