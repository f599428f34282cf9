"""Layer norm and GELU on the C kernels."""

import ctypes

import numpy as np

from gptterm.cores import thread_count
from gptterm.engine.kernels.library import (
    FLOAT32,
    Floats,
    LayerNormStruct,
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
