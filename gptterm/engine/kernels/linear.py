"""Linear layers on the C kernels; source/linear.h describes the weight formats."""

import ctypes
from collections.abc import Callable
from enum import IntEnum

import torch
from torch import Tensor

from gptterm.engine.kernels.library import PANEL, QUANT_BLOCK, LinearStruct, check, library

_PACKED_AT_ONCE = 128 * PANEL
"""Outputs whose weights are converted at a time: a whole vocabulary's would be a large copy."""
_MOST = 2**31 - 1


class WeightFormat(IntEnum):
    """`weight_format` in source/linear.h."""

    FLOAT32_IN_OUT = 0
    FLOAT32_OUT_IN = 1
    BFLOAT16 = 2
    FLOAT16 = 3
    INT8 = 4


class Linear:
    """y = x · W + b.

    Args:
        weights: contiguous, of the format's dtype and shape.
        scales: (outputs,) float32, of int8 weights.
        bias: (outputs,) float32.

    Raises:
        ValueError: a tensor has another dtype, shape or layout.
    """

    def __init__(
        self,
        weight_format: WeightFormat,
        inputs: int,
        outputs: int,
        weights: Tensor,
        *,
        scales: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> None:
        if not (1 <= inputs <= _MOST and 1 <= outputs <= _MOST):
            raise ValueError(f"a layer of {inputs} inputs and {outputs} outputs")
        if (scales is None) is (weight_format is WeightFormat.INT8):
            raise ValueError("scales belong to int8 weights, and to no others")
        dtype, shape = _dtype_and_shape(weight_format, inputs, outputs)
        check(weights, "weights", dtype, *shape)
        for name, vector in (("scales", scales), ("bias", bias)):
            if vector is not None:
                check(vector, name, torch.float32, outputs)
        lib = library()
        assert lib is not None
        self._forward = lib.linear_forward
        self._inputs, self._outputs = inputs, outputs
        self._tensors = (weights, scales, bias)  # only their addresses are in the struct
        self._struct = LinearStruct(
            weight_format,
            inputs,
            outputs,
            torch.get_num_threads(),
            *(0 if tensor is None else tensor.data_ptr() for tensor in self._tensors),
        )
        self._address = ctypes.addressof(self._struct)

    def __call__(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """(m, inputs) float32 → (m, outputs) float32, with `residual` of that shape added.

        A row's result has the same bits alone and among others.

        Raises:
            ValueError: a tensor has another dtype or shape.
            MemoryError: no memory for a copy of the rows.
        """
        x = x.contiguous()
        rows = x.shape[0]
        check(x, "x", torch.float32, rows, self._inputs)
        added = 0
        if residual is not None:
            residual = residual.contiguous()
            added = check(residual, "residual", torch.float32, rows, self._outputs).data_ptr()
        y = torch.empty(rows, self._outputs)
        if not self._forward(self._address, x.data_ptr(), rows, added, y.data_ptr()):
            raise MemoryError
        return y


def _dtype_and_shape(
    weight_format: WeightFormat, inputs: int, outputs: int
) -> tuple[torch.dtype, tuple[int, ...]]:
    match weight_format:
        case WeightFormat.FLOAT32_IN_OUT:
            return torch.float32, (inputs, outputs)
        case WeightFormat.FLOAT32_OUT_IN:
            return torch.float32, (outputs, inputs)
        case WeightFormat.BFLOAT16:
            return torch.bfloat16, (-(-outputs // PANEL), inputs, PANEL)
        case WeightFormat.FLOAT16:
            return torch.float16, (-(-outputs // PANEL), inputs, PANEL)
        case WeightFormat.INT8:
            return torch.uint8, packed_int8_shape(outputs, inputs)


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
    on_packed: Callable[[Tensor], None] | None = None,
) -> Linear:
    """A layer of (out, in) weights, of any strides, packed in bfloat16 or float16.

    Args:
        on_packed: called with parts of the weights that will not be read again.

    Raises:
        ValueError: another dtype.
    """
    formats = {torch.bfloat16: WeightFormat.BFLOAT16, torch.float16: WeightFormat.FLOAT16}
    if dtype not in formats:
        raise ValueError(f"packed weights are bfloat16 or float16, not {dtype}")
    lib = library()
    assert lib is not None
    outputs, inputs = weight.shape
    panels = torch.empty(-(-outputs // PANEL), inputs, PANEL, dtype=dtype)
    for start in range(0, outputs, _PACKED_AT_ONCE):
        part = weight[start : start + _PACKED_AT_ONCE]
        source = part.to("cpu", dtype)
        target = LinearStruct(formats[dtype], inputs, len(part), torch.get_num_threads())
        packed = panels[start // PANEL :].data_ptr()
        lib.linear_pack(ctypes.addressof(target), packed, source.data_ptr(), *source.stride())
        if on_packed is not None:
            on_packed(part)
    return Linear(formats[dtype], inputs, outputs, panels, bias=bias)


def int8(panels: Tensor, scales: Tensor, inputs: int, bias: Tensor | None = None) -> Linear:
    """A layer of weights that `int8.quantise` packed."""
    return Linear(WeightFormat.INT8, inputs, len(scales), panels, scales=scales, bias=bias)


def packed_int8_shape(outputs: int, inputs: int) -> tuple[int, int, int, int]:
    """The shape of packed int8 weights."""
    return -(-outputs // PANEL), -(-inputs // QUANT_BLOCK) * QUANT_BLOCK // 4, PANEL, 4
