"""Layers of weights; source/linear.h says how they are kept."""

import ctypes
from collections.abc import Callable
from enum import IntEnum

import torch
from torch import Tensor

from gptterm.engine.kernels.library import address, library

PANEL, QUANT_BLOCK = 32, 32
"""As in linear.h."""
_AT_ONCE = 128 * PANEL


class WeightFormat(IntEnum):
    """How weights are kept; as in linear.h."""

    FLOAT32_IN_OUT = 0
    FLOAT32_OUT_IN = 1
    BFLOAT16 = 2
    FLOAT16 = 3
    INT8 = 4


class _Linear(ctypes.Structure):
    _fields_ = (
        ("format", ctypes.c_int32),
        ("inputs", ctypes.c_int32),
        ("outputs", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("weights", ctypes.c_void_p),
        ("scales", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
    )


class Linear:
    """y = x · W + b.

    Args:
        weights: as `kind` says, contiguous.
        scales: (outputs,) float32, of int8.
        bias: (outputs,) float32.
    """

    def __init__(
        self,
        kind: WeightFormat,
        inputs: int,
        outputs: int,
        weights: Tensor,
        *,
        scales: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> None:
        opened = library()
        assert opened is not None
        self._multiply = opened.linear_forward
        self._kept = (weights, scales, bias)  # only their addresses are in the structure
        self._outputs = outputs
        self._linear = _Linear(
            kind, inputs, outputs, torch.get_num_threads(), *map(address, self._kept)
        )
        self._address = ctypes.addressof(self._linear)

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """(m, inputs) float32 → (m, outputs) float32, `residual` added, which is of that shape.

        A row's result has the same bits alone and among others.

        Raises:
            MemoryError: no room for a copy of the rows.
        """
        x = x.contiguous()
        rows = x.shape[0]
        y = torch.empty(rows, self._outputs)
        if not self._multiply(self._address, x.data_ptr(), rows, address(residual), y.data_ptr()):
            raise MemoryError
        return y


def float32(weight: Tensor, bias: Tensor | None = None) -> Linear:
    """A layer of (out, in) float32 weights, or a transposed view of (in, out) ones: no copy."""
    outputs, inputs = weight.shape
    if weight.t().is_contiguous():
        return Linear(WeightFormat.FLOAT32_IN_OUT, inputs, outputs, weight.t(), bias=bias)
    return Linear(WeightFormat.FLOAT32_OUT_IN, inputs, outputs, weight.contiguous(), bias=bias)


def half(
    weight: Tensor,
    dtype: torch.dtype,
    bias: Tensor | None = None,
    done: Callable[[Tensor], None] | None = None,
) -> Linear:
    """A layer of (out, in) weights, by any strides, kept in bfloat16 or float16.

    Args:
        done: is told of parts of the weights that will not be read again.
    """
    opened = library()
    assert opened is not None
    outputs, inputs = weight.shape
    kind = WeightFormat.BFLOAT16 if dtype == torch.bfloat16 else WeightFormat.FLOAT16
    panels = torch.empty(-(-outputs // PANEL), inputs, PANEL, dtype=dtype)
    # Part by part: a vocabulary's worth of weights is no small copy.
    for start in range(0, outputs, _AT_ONCE):
        part = weight[start : start + _AT_ONCE]
        source = part.to(dtype)
        target = _Linear(kind, inputs, len(part), torch.get_num_threads())
        place = panels[start // PANEL :].data_ptr()
        opened.linear_pack(ctypes.addressof(target), place, source.data_ptr(), *source.stride())
        if done is not None:
            done(part)
    return Linear(kind, inputs, outputs, panels, bias=bias)


def int8(panels: Tensor, scales: Tensor, inputs: int, bias: Tensor | None = None) -> Linear:
    """A layer of what `pack_int8` made."""
    return Linear(WeightFormat.INT8, inputs, len(scales), panels, scales=scales, bias=bias)


def packed_int8_shape(outputs: int, inputs: int) -> tuple[int, int, int, int]:
    """The shape of a layer's `pack_int8`."""
    return -(-outputs // PANEL), -(-inputs // QUANT_BLOCK) * QUANT_BLOCK // 4, PANEL, 4


def pack_int8(weight: Tensor) -> Tensor:
    """(out, in) int8 → (panels, in / 4, PANEL, 4) uint8, each 128 more, filled up with zeros."""
    outputs, inputs = weight.shape
    panels, quarters, _, _ = packed_int8_shape(outputs, inputs)
    filled = weight.new_zeros(panels * PANEL, quarters * 4)
    filled[:outputs, :inputs] = weight
    fours = filled.view(torch.int32).view(panels, PANEL, quarters).transpose(1, 2).contiguous()
    # Adding 128 to a signed byte turns over its highest bit.
    return fours.view(torch.uint8).view(panels, quarters, PANEL, 4) ^ 128
