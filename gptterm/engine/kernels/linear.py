"""Linear layers on the C kernels; source/linear.h describes the weight formats."""

import ctypes
import math
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gptterm.cores import thread_count
from gptterm.engine.kernels.compiled import (
    FLOAT32,
    PANEL,
    QUANT_BLOCK,
    Floats,
    LinearStruct,
    address,
    check,
    loaded_library,
)
from gptterm.engine.kernels.packed_memory import Allocate, aligned
from gptterm.engine.stored_tensor import ARRAY_DTYPES, StoredTensor

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
    Q8_0 = 5
    Q4_0 = 6
    Q4_1 = 7
    Q5_0 = 8
    Q5_1 = 9
    Q4_K = 10
    Q5_K = 11
    Q6_K = 12


class Linear:
    """y = x · W + b.

    bfloat16 weights are multiplied with activations in bfloat16 where the CPU has dot products of
    it, and with float32 elsewhere.

    Args:
        weights: contiguous, of the format's dtype and shape; bfloat16 by its bits.
        scales: (outputs,) float32, of int8 weights.
        bias: (outputs,) float32.

    Raises:
        ValueError: an array has another dtype, shape or layout.
    """

    def __init__(
        self,
        weight_format: WeightFormat,
        inputs: int,
        outputs: int,
        weights: NDArray[Any],
        *,
        scales: Floats | None = None,
        bias: Floats | None = None,
    ) -> None:
        if not (1 <= inputs <= _MOST and 1 <= outputs <= _MOST):
            raise ValueError(f"a layer of {inputs} inputs and {outputs} outputs")
        if (scales is None) is (weight_format is WeightFormat.INT8):
            raise ValueError("scales belong to int8 weights, and to no others")
        dtype, shape = _dtype_and_shape(weight_format, inputs, outputs)
        check(weights, "weights", dtype, *shape)
        for name, vector in (("scales", scales), ("bias", bias)):
            if vector is not None:
                check(vector, name, FLOAT32, outputs)
        self._forward = loaded_library().linear_forward
        self.inputs, self.outputs = inputs, outputs
        self._arrays = (weights, scales, bias)  # only their addresses are in the struct
        self._struct = LinearStruct(
            weight_format,
            inputs,
            outputs,
            thread_count(),
            *(0 if array is None else address(array) for array in self._arrays),
        )
        self.address = ctypes.addressof(self._struct)

    @property
    def nbytes(self) -> int:
        """Size of the weights."""
        return self._arrays[0].nbytes

    def __call__(self, x: Floats, residual: Floats | None = None) -> Floats:
        """(m, inputs) float32 → (m, outputs) float32, with `residual` of that shape added.

        A row's result has the same bits alone and among others.

        Raises:
            ValueError: an array has another dtype or shape.
            MemoryError: no memory for a copy of the rows.
        """
        if not x.flags.c_contiguous:
            x = np.ascontiguousarray(x)
        rows = len(x)
        check(x, "x", FLOAT32, rows, self.inputs)
        added = 0
        if residual is not None:
            if not residual.flags.c_contiguous:
                residual = np.ascontiguousarray(residual)
            added = address(check(residual, "residual", FLOAT32, rows, self.outputs))
        y = np.empty((rows, self.outputs), FLOAT32)
        if rows and not self._forward(self.address, address(x), rows, added, address(y)):
            raise MemoryError
        return y


class LinearGroup:
    """Linear layers with the same input, whose products are computed side by side.

    The input is quantised once for all, and the threads share out all products together.
    """

    def __init__(self, layers: Sequence[Linear]) -> None:
        self._forward = loaded_library().linears_forward
        self._layers = tuple(layers)
        self.inputs = layers[0].inputs
        if any(layer.inputs != self.inputs for layer in layers):
            raise ValueError("a group of layers with different inputs")
        self.outputs = [layer.outputs for layer in layers]
        self.addresses = (ctypes.c_void_p * len(layers))(*(layer.address for layer in layers))
        self._results = ctypes.c_void_p * len(layers)

    def __call__(self, x: Floats) -> list[Floats]:
        """(m, inputs) float32 → (m, outputs) of each layer, with the bits that it alone gives.

        Raises:
            ValueError: `x` has another dtype or shape.
            MemoryError: no memory for a copy of the rows.
        """
        if not x.flags.c_contiguous:
            x = np.ascontiguousarray(x)
        rows = len(x)
        check(x, "x", FLOAT32, rows, self.inputs)
        found = [np.empty((rows, outputs), FLOAT32) for outputs in self.outputs]
        results = self._results(*map(address, found))
        count = len(found)
        if rows and not self._forward(self.addresses, count, address(x), rows, results):
            raise MemoryError
        return found


def _dtype_and_shape(
    weight_format: WeightFormat, inputs: int, outputs: int
) -> tuple[np.dtype[Any], tuple[int, ...]]:
    match weight_format:
        case WeightFormat.FLOAT32_IN_OUT:
            return FLOAT32, (inputs, outputs)
        case WeightFormat.FLOAT32_OUT_IN:
            return FLOAT32, (outputs, inputs)
        case WeightFormat.BFLOAT16:
            return ARRAY_DTYPES["bfloat16"], _packed_16_shape(weight_format, outputs, inputs)
        case WeightFormat.FLOAT16:
            return ARRAY_DTYPES["float16"], _packed_16_shape(weight_format, outputs, inputs)
        case WeightFormat.INT8:
            return ARRAY_DTYPES["uint8"], packed_int8_shape(outputs, inputs)
    layer = LinearStruct(weight_format, inputs, outputs)
    size = loaded_library().blocks_packed_size(ctypes.addressof(layer))
    return ARRAY_DTYPES["uint8"], (size,)


def float32(weight: Floats, bias: Floats | None = None) -> Linear:
    """A layer of (out, in) float32 weights, or a transposed view of (in, out) ones: no copy."""
    outputs, inputs = weight.shape
    if weight.T.flags.c_contiguous:
        return Linear(WeightFormat.FLOAT32_IN_OUT, inputs, outputs, weight.T, bias=bias)
    weight = np.ascontiguousarray(weight)
    return Linear(WeightFormat.FLOAT32_OUT_IN, inputs, outputs, weight, bias=bias)


def half(
    weight: StoredTensor,
    dtype: str,
    bias: Floats | None = None,
    on_packed: Callable[[NDArray[Any]], None] | None = None,
    allocate: Allocate = aligned,
) -> Linear:
    """A layer of (out, in) weights, of any strides, packed in bfloat16 or float16.

    Args:
        on_packed: called with parts of the weights that will not be read again.
        allocate: makes the memory of the packed weights.

    Raises:
        ValueError: another dtype.
    """
    formats = {"bfloat16": WeightFormat.BFLOAT16, "float16": WeightFormat.FLOAT16}
    if dtype not in formats:
        raise ValueError(f"packed weights are bfloat16 or float16, not {dtype}")
    outputs, inputs = weight.shape
    lib = loaded_library()
    shape = _packed_16_shape(formats[dtype], outputs, inputs)
    panels = allocate(2 * math.prod(shape)).view(ARRAY_DTYPES[dtype]).reshape(shape)
    for start in range(0, outputs, _PACKED_AT_ONCE):
        part = weight[start : start + _PACKED_AT_ONCE]
        # float32 is rounded to bfloat16 as it is packed.
        is_rounded = dtype == "bfloat16" and part.dtype != dtype
        source = part.converted("float32" if is_rounded else dtype)
        target = LinearStruct(formats[dtype], inputs, len(part), thread_count())
        packed = ctypes.addressof(target), address(panels[start // PANEL :])
        given = address(source), *(stride // source.itemsize for stride in source.strides)
        if is_rounded:
            lib.linear_convert(*packed, None, *given)
        else:
            lib.linear_pack(*packed, *given)
        if on_packed is not None:
            on_packed(part.array)
    return Linear(formats[dtype], inputs, outputs, panels, bias=bias)


def int8(
    panels: NDArray[np.uint8], scales: Floats, inputs: int, bias: Floats | None = None
) -> Linear:
    """A layer of weights that `int8.quantise` packed."""
    return Linear(WeightFormat.INT8, inputs, len(scales), panels, scales=scales, bias=bias)


def _packed_16_shape(
    weight_format: WeightFormat, outputs: int, inputs: int
) -> tuple[int, int, int]:
    """The shape of packed weights of 16 bits: of bfloat16, pairs of inputs lie side by side."""
    odd = inputs % 2 if weight_format is WeightFormat.BFLOAT16 else 0
    return -(-outputs // PANEL), inputs + odd, PANEL


def packed_int8_shape(outputs: int, inputs: int) -> tuple[int, int, int, int]:
    """The shape of packed int8 weights."""
    return -(-outputs // PANEL), -(-inputs // QUANT_BLOCK) * QUANT_BLOCK // 4, PANEL, 4
