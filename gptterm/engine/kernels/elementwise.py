"""Layer norm and GELU on the C kernels."""

import ctypes

import torch
from torch import Tensor

from gptterm.engine.kernels.library import LayerNormStruct, check, library


class LayerNorm:
    """Layer normalisation (Ba et al., 2016).

    Args:
        weight, bias: (width,) float32.

    Raises:
        ValueError: one has another dtype or shape.
    """

    def __init__(self, weight: Tensor, bias: Tensor, epsilon: float) -> None:
        lib = library()
        assert lib is not None
        self._forward = lib.layer_norm_forward
        self._width = len(weight)
        # Only their addresses are in the struct.
        self._tensors = [
            check(tensor.contiguous(), name, torch.float32, self._width)
            for name, tensor in (("weight", weight), ("bias", bias))
        ]
        self._struct = LayerNormStruct(
            self._width,
            torch.get_num_threads(),
            epsilon,
            *(tensor.data_ptr() for tensor in self._tensors),
        )
        self._address = ctypes.addressof(self._struct)

    def __call__(self, x: Tensor) -> Tensor:
        """(m, width) float32 → the same.

        Raises:
            ValueError: another dtype or shape.
        """
        x = x.contiguous()
        rows = x.shape[0]
        check(x, "x", torch.float32, rows, self._width)
        y = torch.empty(rows, self._width)
        self._forward(self._address, x.data_ptr(), rows, y.data_ptr())
        return y


def gelu(x: Tensor) -> Tensor:
    """GELU's tanh approximation (Hendrycks and Gimpel, 2016) of contiguous float32, in place.

    Raises:
        ValueError: another dtype, or not contiguous.
    """
    lib = library()
    assert lib is not None
    check(x, "x", torch.float32, *x.shape)
    lib.gelu_forward(x.data_ptr(), x.numel(), torch.get_num_threads())
    return x
