"""Norms, activations and rotary embedding on the C kernels."""

import ctypes

import numpy as np

from gptterm.cores import thread_count
from gptterm.engine.kernels.compiled import (
    FLOAT32,
    Floats,
    LayerNormStruct,
    RotaryStruct,
    address,
    check,
    loaded_library,
)


class LayerNorm:
    """Layer normalisation (Ba et al., 2016).

    Args:
        weight, bias: (width,) float32.

    Raises:
        ValueError: one has another dtype or shape.
    """

    def __init__(self, weight: Floats, bias: Floats, epsilon: float) -> None:
        self._forward = loaded_library().layer_norm_forward
        self.width = len(weight)
        # Only their addresses are in the struct.
        self._arrays = [
            check(np.ascontiguousarray(array), name, FLOAT32, self.width)
            for name, array in (("weight", weight), ("bias", bias))
        ]
        self._struct = LayerNormStruct(
            self.width, thread_count(), epsilon, *map(address, self._arrays)
        )
        self.address = ctypes.addressof(self._struct)

    def __call__(self, x: Floats) -> Floats:
        """(m, width) float32 → the same.

        Raises:
            ValueError: another dtype or shape.
        """
        x = _contiguous(x)
        rows = len(x)
        check(x, "x", FLOAT32, rows, self.width)
        y = np.empty(x.shape, FLOAT32)
        if rows:
            self._forward(self.address, address(x), rows, address(y))
        return y


class RMSNorm:
    """Root mean square normalisation (Zhang and Sennrich, 2019) of each `width` numbers.

    Args:
        weight: (width,) float32.

    Raises:
        ValueError: it has another dtype or shape.
    """

    def __init__(self, weight: Floats, epsilon: float) -> None:
        self._forward = loaded_library().rms_norm_forward
        self.width = len(weight)
        self._weight = check(np.ascontiguousarray(weight), "weight", FLOAT32, self.width)
        self._struct = LayerNormStruct(
            self.width, thread_count(), epsilon, address(self._weight), None
        )
        self.address = ctypes.addressof(self._struct)

    def __call__(self, x: Floats) -> Floats:
        """(m, k · width) float32 → the same.

        Raises:
            ValueError: another dtype or shape.
        """
        x = _contiguous(x)
        if x.ndim != 2 or x.dtype != FLOAT32 or x.shape[1] % self.width:
            raise ValueError(
                f"x must be float32 of (m, k · {self.width}), not {x.dtype} of {x.shape}"
            )
        y = np.empty(x.shape, FLOAT32)
        if x.size:
            self._forward(self.address, address(x), x.size // self.width, address(y))
        return y


class Rotation:
    """Rotary embedding (Su et al., 2021) at some positions.

    Args:
        cosine, sine: (m, half) float32, of each pair's angle.
        neighbours: whether numbers 2i and 2i + 1 are a pair, in place of i and i + half.
    """

    def __init__(
        self, cosine: Floats, sine: Floats, head_dim: int, *, neighbours: bool = False
    ) -> None:
        self._forward = loaded_library().rotary_forward
        self._threads = thread_count()
        self._rows, self._half = cosine.shape
        self._head_dim = head_dim
        self._neighbours = neighbours
        if not 0 < 2 * self._half <= head_dim:
            raise ValueError(f"{self._half} pairs of numbers in a head of {head_dim}")
        self._arrays = [
            check(array, name, FLOAT32, *cosine.shape)
            for name, array in (("cosine", cosine), ("sine", sine))
        ]
        self._addresses = [*map(address, self._arrays)]

    def __call__(self, x: Floats) -> Floats:
        """(m, heads · head_dim) float32 → the same: in place where `x` is contiguous.

        Raises:
            ValueError: another dtype or shape, or read-only.
        """
        x = _contiguous(x)
        if x.ndim != 2 or x.shape[1] % self._head_dim or not x.flags.writeable:
            raise ValueError(
                f"x must be writable, of (m, heads · {self._head_dim}), not of {x.shape}"
            )
        check(x, "x", FLOAT32, self._rows, x.shape[1])
        if x.size:
            heads = x.shape[1] // self._head_dim
            sizes = (self._rows, heads, self._head_dim, self._half, self._neighbours)
            struct = RotaryStruct(*sizes, address(x), *self._addresses)
            self._forward(ctypes.addressof(struct), self._threads)
        return x


ACTIVATIONS = ("gelu_tanh", "gelu", "silu", "relu")
"""Functions of each number on its own, in the order of `activation_kind` in elementwise.h."""


class Activation:
    """Activation of each number, on its own or times what it lets through (Shazeer, 2020).

    Args:
        name: of `ACTIVATIONS`.
    """

    def __init__(self, name: str) -> None:
        self.kind = ACTIVATIONS.index(name)
        self._forward = loaded_library().activation_forward
        self._threads = thread_count()

    def __call__(self, x: Floats, up: Floats | None = None) -> Floats:
        """f(x), or f(x) · up, of float32: in place where `x` is contiguous.

        Raises:
            ValueError: another dtype, different shapes, or `x` is read-only.
        """
        x = _contiguous(x)
        check(x, "x", FLOAT32, *x.shape)
        if not x.flags.writeable:
            raise ValueError("x must be writable: it is overwritten")
        if up is not None:
            up = check(_contiguous(up), "up", FLOAT32, *x.shape)
        if x.size:
            second = None if up is None else address(up)
            self._forward(self.kind, address(x), second, x.size, self._threads)
        return x


def _contiguous(x: Floats) -> Floats:
    """Itself, or a copy: of some columns of a matrix."""
    return x if x.flags.c_contiguous else np.ascontiguousarray(x)
