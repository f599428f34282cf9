"""Norms, activations and rotary embedding on the C kernels."""

import ctypes

import numpy as np

from gptterm.cores import thread_count
from gptterm.engine.kernels.library import (
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
        self._width = len(weight)
        # Only their addresses are in the struct.
        self._arrays = [
            check(np.ascontiguousarray(array), name, FLOAT32, self._width)
            for name, array in (("weight", weight), ("bias", bias))
        ]
        self._struct = LayerNormStruct(
            self._width, thread_count(), epsilon, *map(address, self._arrays)
        )
        self._address = ctypes.addressof(self._struct)

    def __call__(self, x: Floats) -> Floats:
        """(m, width) float32 → the same.

        Raises:
            ValueError: another dtype or shape.
        """
        if not x.flags.c_contiguous:
            x = np.ascontiguousarray(x)
        rows = len(x)
        check(x, "x", FLOAT32, rows, self._width)
        y = np.empty(x.shape, FLOAT32)
        if rows:
            self._forward(self._address, address(x), rows, address(y))
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
        self._width = len(weight)
        self._weight = check(np.ascontiguousarray(weight), "weight", FLOAT32, self._width)
        self._struct = LayerNormStruct(
            self._width, thread_count(), epsilon, address(self._weight), None
        )
        self._address = ctypes.addressof(self._struct)

    def __call__(self, x: Floats) -> Floats:
        """(m, k · width) float32 → the same.

        Raises:
            ValueError: another dtype or shape.
        """
        if not x.flags.c_contiguous:
            x = np.ascontiguousarray(x)
        if x.ndim != 2 or x.dtype != FLOAT32 or x.shape[1] % self._width:
            raise ValueError(
                f"x must be float32 of (m, k · {self._width}), not {x.dtype} of {x.shape}"
            )
        y = np.empty(x.shape, FLOAT32)
        if x.size:
            self._forward(self._address, address(x), x.size // self._width, address(y))
        return y


class Rotation:
    """Rotary embedding (Su et al., 2021) at some positions.

    Args:
        cosine, sine: (m, half) float32, of each pair's angle.
    """

    def __init__(self, cosine: Floats, sine: Floats, head_dim: int) -> None:
        self._forward = loaded_library().rotary_forward
        self._threads = thread_count()
        self._rows, self._half = cosine.shape
        self._head_dim = head_dim
        if not 0 < 2 * self._half <= head_dim:
            raise ValueError(f"{self._half} pairs of numbers in a head of {head_dim}")
        self._arrays = [
            check(array, name, FLOAT32, *cosine.shape)
            for name, array in (("cosine", cosine), ("sine", sine))
        ]
        self._addresses = [*map(address, self._arrays)]

    def __call__(self, x: Floats) -> Floats:
        """(m, heads · head_dim) float32, contiguous, in place: i and i + half are a pair.

        Raises:
            ValueError: another dtype or shape, not contiguous, or read-only.
        """
        if x.ndim != 2 or x.shape[1] % self._head_dim or not x.flags.writeable:
            raise ValueError(
                f"x must be writable, of (m, heads · {self._head_dim}), not of {x.shape}"
            )
        check(x, "x", FLOAT32, self._rows, x.shape[1])
        if x.size:
            heads = x.shape[1] // self._head_dim
            struct = RotaryStruct(
                self._rows, heads, self._head_dim, self._half, address(x), *self._addresses
            )
            self._forward(ctypes.addressof(struct), self._threads)
        return x


class SiluGate:
    """SiLU of a gate times what it lets through (Shazeer, 2020)."""

    def __init__(self) -> None:
        self._forward = loaded_library().silu_gate_forward
        self._threads = thread_count()

    def __call__(self, gate: Floats, up: Floats) -> Floats:
        """SiLU(gate) · up of contiguous float32, in the place of `gate`.

        Raises:
            ValueError: another dtype, not contiguous, of different shapes, or read-only.
        """
        check(gate, "gate", FLOAT32, *gate.shape)
        check(up, "up", FLOAT32, *gate.shape)
        if not gate.flags.writeable:
            raise ValueError("gate must be writable: it is overwritten")
        if gate.size:
            self._forward(address(gate), address(up), gate.size, self._threads)
        return gate


class Gelu:
    """GELU's tanh approximation (Hendrycks and Gimpel, 2016)."""

    def __init__(self) -> None:
        self._forward = loaded_library().gelu_forward
        self._threads = thread_count()

    def __call__(self, x: Floats) -> Floats:
        """Of contiguous float32, in place.

        Raises:
            ValueError: another dtype, not contiguous, or read-only.
        """
        check(x, "x", FLOAT32, *x.shape)
        if not x.flags.writeable:
            raise ValueError("x must be writable: it is overwritten")
        if x.size:
            self._forward(address(x), x.size, self._threads)
        return x
