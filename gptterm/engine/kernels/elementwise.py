"""What is done to every row of activations by itself."""

import ctypes

import torch
from torch import Tensor

from gptterm.engine.kernels.library import library


class _LayerNorm(ctypes.Structure):
    """As in source/elementwise.h."""

    _fields_ = (
        ("width", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("epsilon", ctypes.c_float),
        ("weight", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("x", ctypes.c_void_p),
        ("y", ctypes.c_void_p),
    )


class LayerNorm:
    """A layer norm (Ba et al., 2016).

    Args:
        weight, bias: (width,) float32.
    """

    def __init__(self, weight: Tensor, bias: Tensor, epsilon: float) -> None:
        opened = library()
        assert opened is not None
        self._run = opened.layer_norm_forward
        self._kept = weight.contiguous(), bias.contiguous()
        self._layer_norm = _LayerNorm(
            len(weight), torch.get_num_threads(), epsilon, *(x.data_ptr() for x in self._kept)
        )

    def __call__(self, x: Tensor) -> Tensor:
        """(m, width) float32 → the same."""
        x = x.contiguous()
        y = torch.empty(x.shape)
        self._layer_norm.x, self._layer_norm.y = x.data_ptr(), y.data_ptr()
        self._run(ctypes.addressof(self._layer_norm), len(x))
        return y


def gelu(x: Tensor) -> Tensor:
    """GELU's tanh approximation (Hendrycks and Gimpel, 2016) of contiguous float32, in place."""
    opened = library()
    assert opened is not None
    opened.gelu_forward(x.data_ptr(), x.numel(), torch.get_num_threads())
    return x
