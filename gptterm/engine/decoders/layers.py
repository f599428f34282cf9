"""A native decoder's layers, made of the weights in a model's files for one device and dtype.

Weights stay views into the mapped files where dtype and device allow it, so that nothing is
copied or converted at start-up.
"""

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor

from gptterm.engine.decoders import linear
from gptterm.engine.decoders.int8 import Int8
from gptterm.engine.decoders.linear import Linear, Packed
from gptterm.engine.decoders.quantised import Quantised
from gptterm.engine.decoders.weights import Weights

Norm = Callable[[Tensor], Tensor]


class Layers:
    """Makes layers by the names of their weights.

    Every method raises ModelError if a weight is not there or has another shape.

    Args:
        quantised: where layers in int8 get their weights.

    Attributes:
        compute: what the activations are kept in.

    Raises:
        ModelError: this CPU has no kernels for the dtype.
    """

    def __init__(
        self, weights: Weights, device: str, dtype: str, quantised: Quantised | None = None
    ) -> None:
        self._weights = weights
        self._quantised = quantised or Quantised()
        self._waiting: list[Packed] = []
        self._device = torch.device(device)
        self._dtype = dtype
        self._tensors: dict[str, Tensor] = {}
        self._packs = device == "cpu" and dtype != "float32"
        if self._packs:
            linear.check_kernels(dtype)
        # Weights that are packed for a CPU kernel meet float32 activations, bfloat16's excepted.
        as_float32 = dtype == "int8" or (self._packs and dtype == "float16")
        self.compute: torch.dtype = torch.float32 if as_float32 else getattr(torch, dtype)

    def tensor(self, name: str, *shape: int) -> Tensor:
        """The weights themselves; one tensor, however often it is asked for."""
        if name not in self._tensors:
            weight = self._weights.take(name, *shape)
            self._tensors[name] = weight.to(self._device, self.compute)
        return self._tensors[name]

    def norm(self, name: str, width: int, epsilon: float) -> Norm:
        """A layer norm (Ba et al., 2016)."""
        weight = self.tensor(f"{name}.weight", width)
        bias = self.tensor(f"{name}.bias", width)
        return lambda x: torch.layer_norm(x, (width,), weight, bias, epsilon)

    def conv1d(self, name: str, inner: int, outer: int) -> Linear:
        """x · W + b, W kept (in, out) as in OpenAI's files: a convolution of width 1."""
        bias = self.tensor(f"{name}.bias", outer)
        if self._packs:
            return self._packed(name, self._weights.take(f"{name}.weight", inner, outer).t(), bias)
        return linear.plain(self.tensor(f"{name}.weight", inner, outer), bias)

    def linear(self, name: str, inner: int, outer: int, *, bias: bool = True) -> Linear:
        """x · Wᵀ + b, W kept (out, in)."""
        added = self.tensor(f"{name}.bias", outer) if bias else None
        if self._packs:
            weight = self._weights.take(f"{name}.weight", outer, inner)
            return self._packed(name, weight, added)
        return linear.plain(self.tensor(f"{name}.weight", outer, inner).t(), added)

    def head(self, name: str, inner: int, outer: int) -> Linear:
        """x · Wᵀ, W kept (vocabulary, in), which may be the token embedding."""
        if self._packs:
            return self._packed(name, self._weights.take(name, outer, inner), None)
        return linear.plain_head(self.tensor(name, outer, inner))

    def pack(self) -> None:
        """Pack the layers that need it, several at once; to be called when all are made."""
        # The largest first, so that no core is left alone with it in the end.
        waiting = sorted(self._waiting, key=lambda layer: -layer.size)
        with (
            warnings.catch_warnings(action="ignore"),  # it is deprecated, and the kernels need it
            ThreadPoolExecutor(torch.get_num_threads()) as pool,
        ):
            for _ in pool.map(lambda layer: layer.pack(), waiting):
                pass
        self._waiting = []

    def _packed(self, name: str, weight: Tensor, bias: Tensor | None) -> Linear:
        """The CPU's layer for a dtype other than float32, from (out, in) weights."""
        layer: Packed
        if self._dtype == "int8":
            layer = Int8(*self._quantised.take(name, weight), bias)
        elif self._dtype == "float16":
            layer = linear.Float16(weight, bias)
        else:
            layer = linear.Bfloat16(weight, bias)
        self._waiting.append(layer)
        return layer
