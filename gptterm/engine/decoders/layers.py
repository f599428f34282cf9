"""A native decoder's layers, made of the weights in a model's files for one device and dtype.

Weights stay views into the mapped files where dtype and device allow it, so that nothing is
copied or converted at start-up.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gptterm.engine.decoders import torch_linear
from gptterm.engine.decoders.int8_weights import Int8Weights
from gptterm.engine.decoders.torch_linear import LinearLayer
from gptterm.engine.decoders.weights import Weights
from gptterm.engine.kernels import elementwise, linear
from gptterm.engine.runtime.memory import FilePages

LayerNorm = Callable[[Tensor], Tensor]


class LayerLoader:
    """Makes layers by the names of their weights.

    Every method raises ModelError if a weight is not there or has another shape.

    Args:
        int8_weights: where layers in int8 get their weights.

    Attributes:
        compute_dtype: what the activations are kept in.
        cache_dtype: what keys and values are kept in.

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
        # Whatever the weights are kept in, the kernels compute in float32.
        self.compute_dtype: torch.dtype = torch.float32 if self._kernels else getattr(torch, dtype)
        # Half of what a step reads of a long past; finer than bfloat16, and finer than int8 needs.
        self.cache_dtype = torch.float16 if self._converts else self.compute_dtype

    def tensor(self, name: str, *shape: int) -> Tensor:
        """The weights themselves; one tensor, however often it is asked for."""
        if name not in self._tensors:
            weight = self._weights.take(name, *shape)
            # What is small lies among what is forgotten once it was converted.
            copy = self._converts and weight.ndim == 1
            self._tensors[name] = weight.to(self._device, self.compute_dtype, copy=copy)
        return self._tensors[name]

    def norm(self, name: str, width: int, epsilon: float) -> LayerNorm:
        """A layer norm (Ba et al., 2016)."""
        weight = self.tensor(f"{name}.weight", width)
        bias = self.tensor(f"{name}.bias", width)
        if self._kernels:
            return elementwise.LayerNorm(weight, bias, epsilon)
        return lambda x: torch.layer_norm(x, (width,), weight, bias, epsilon)

    @property
    def gelu(self) -> Callable[[Tensor], Tensor]:
        """GELU's tanh approximation, which the whole family has; what it is given may be lost."""
        return elementwise.gelu if self._kernels else lambda x: F.gelu(x, approximate="tanh")

    def conv1d(self, name: str, inputs: int, outputs: int) -> LinearLayer:
        """x · W + b, W kept (in, out) as in OpenAI's files: a convolution of width 1."""
        bias = self.tensor(f"{name}.bias", outputs)
        if self._kernels:
            weight = self._weights.take(f"{name}.weight", inputs, outputs)
            return self._kernel_linear(name, weight.t(), bias)
        return torch_linear.plain(self.tensor(f"{name}.weight", inputs, outputs), bias)

    def linear(self, name: str, inputs: int, outputs: int, *, bias: bool = True) -> LinearLayer:
        """x · Wᵀ + b, W kept (out, in)."""
        added = self.tensor(f"{name}.bias", outputs) if bias else None
        if self._kernels:
            return self._kernel_linear(
                name, self._weights.take(f"{name}.weight", outputs, inputs), added
            )
        return torch_linear.plain(self.tensor(f"{name}.weight", outputs, inputs).t(), added)

    def head(self, name: str, inputs: int, outputs: int) -> LinearLayer:
        """x · Wᵀ, W kept (vocabulary, in), which may be the token embedding."""
        if self._kernels:
            return self._kernel_linear(name, self._weights.take(name, outputs, inputs), None)
        return torch_linear.plain_head(self.tensor(name, outputs, inputs))

    def release_pages(self) -> None:
        """Give back the memory that weights took while they were converted; to be called when all
        layers are made."""
        if self._converts:
            for weight in self._weights:
                self._pages.forget(weight)

    def _kernel_linear(self, name: str, weight: Tensor, bias: Tensor | None) -> LinearLayer:
        """A CPU's layer from (out, in) weights."""
        if self._dtype == "float32":
            return linear.float32(weight.float(), bias)
        if self._dtype == "int8":
            panels, scales = self._int8_weights.take(name, weight)
            self._pages.forget(weight)
            return linear.int8(panels, scales, weight.shape[1], bias)
        return linear.half(weight, getattr(torch, self._dtype), bias, self._pages.forget)
