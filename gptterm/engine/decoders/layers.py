"""A native decoder's layers, made of the weights in a model's files for one device and dtype.

Weights stay views into the mapped files where dtype and device allow it, so that nothing is
copied or converted at start-up.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from gptterm.engine.decoders import torch_linear
from gptterm.engine.decoders.int8_weights import Quantised
from gptterm.engine.decoders.torch_linear import Linear
from gptterm.engine.decoders.weights import Weights
from gptterm.engine.kernels import elementwise, linear
from gptterm.engine.runtime.memory import FilePages

Norm = Callable[[Tensor], Tensor]


class Layers:
    """Makes layers by the names of their weights.

    Every method raises ModelError if a weight is not there or has another shape.

    Args:
        quantised: where layers in int8 get their weights.

    Attributes:
        compute: what the activations are kept in.
        past: what keys and values are kept in.

    Raises:
        ModelError: this CPU has no kernels for the dtype.
    """

    def __init__(
        self, weights: Weights, device: str, dtype: str, quantised: Quantised | None = None
    ) -> None:
        self._weights = weights
        self._quantised = quantised or Quantised()
        self._device = torch.device(device)
        self._dtype = dtype
        self._tensors: dict[str, Tensor] = {}
        self._pages = FilePages()
        self._kernels = device == "cpu" and torch_linear.check_kernels(dtype)
        self._converts = self._kernels and dtype != "float32"
        # Whatever the weights are kept in, the kernels compute in float32.
        self.compute: torch.dtype = torch.float32 if self._kernels else getattr(torch, dtype)
        # Half of what a step reads of a long past; finer than bfloat16, and finer than int8 needs.
        self.past = torch.float16 if self._converts else self.compute

    def tensor(self, name: str, *shape: int) -> Tensor:
        """The weights themselves; one tensor, however often it is asked for."""
        if name not in self._tensors:
            weight = self._weights.take(name, *shape)
            # What is small lies among what is forgotten once it was converted.
            copy = self._converts and weight.ndim == 1
            self._tensors[name] = weight.to(self._device, self.compute, copy=copy)
        return self._tensors[name]

    def norm(self, name: str, width: int, epsilon: float) -> Norm:
        """A layer norm (Ba et al., 2016)."""
        weight = self.tensor(f"{name}.weight", width)
        bias = self.tensor(f"{name}.bias", width)
        if self._kernels:
            return elementwise.Norm(weight, bias, epsilon)
        return lambda x: torch.layer_norm(x, (width,), weight, bias, epsilon)

    @property
    def gelu(self) -> Callable[[Tensor], Tensor]:
        """GELU's tanh approximation, which the whole family has; what it is given may be lost."""
        return elementwise.gelu if self._kernels else lambda x: F.gelu(x, approximate="tanh")

    def conv1d(self, name: str, inner: int, outer: int) -> Linear:
        """x · W + b, W kept (in, out) as in OpenAI's files: a convolution of width 1."""
        bias = self.tensor(f"{name}.bias", outer)
        if self._kernels:
            weight = self._weights.take(f"{name}.weight", inner, outer)
            return self._matrix(name, weight.t(), bias)
        return torch_linear.plain(self.tensor(f"{name}.weight", inner, outer), bias)

    def linear(self, name: str, inner: int, outer: int, *, bias: bool = True) -> Linear:
        """x · Wᵀ + b, W kept (out, in)."""
        added = self.tensor(f"{name}.bias", outer) if bias else None
        if self._kernels:
            return self._matrix(name, self._weights.take(f"{name}.weight", outer, inner), added)
        return torch_linear.plain(self.tensor(f"{name}.weight", outer, inner).t(), added)

    def head(self, name: str, inner: int, outer: int) -> Linear:
        """x · Wᵀ, W kept (vocabulary, in), which may be the token embedding."""
        if self._kernels:
            return self._matrix(name, self._weights.take(name, outer, inner), None)
        return torch_linear.plain_head(self.tensor(name, outer, inner))

    def finish(self) -> None:
        """Give back the memory that weights took while they were converted; to be called when all
        layers are made."""
        if self._converts:
            for weight in self._weights:
                self._pages.forget(weight)

    def _matrix(self, name: str, weight: Tensor, bias: Tensor | None) -> Linear:
        """A CPU's layer from (out, in) weights."""
        if self._dtype == "float32":
            return linear.float32(weight.float(), bias)
        if self._dtype == "int8":
            panels, scales = self._quantised.take(name, weight)
            self._pages.forget(weight)
            return linear.int8(panels, scales, weight.shape[1], bias)
        return linear.half(weight, getattr(torch, self._dtype), bias, self._pages.forget)
