"""Products of float32 rows with a CPU's matrices, in C (matrix.h says how they are kept).

A token at a time, a decoder's speed is that of reading its weights. Two cores of an AMD EPYC
(Zen 4) that read 37 GB/s, all matrices of one GPT-2 124M token, ms at 1, 4, 16 and 64 rows:

| weights | here | else |
|---|---|---|
| float32 | 15.8, 23, 52, 125 | torch's `addmm` and `linear` 30, 66, 72, 148 |
| bfloat16, float16 | 6.8, 8.3, 21, 76 | oneDNN 10 at 1 row, FBGEMM 9 |
| int8 | 3.2, 4.2, 8.2, 27 | FBGEMM 5.0 at 1 row, 9 with activations as exact |

The library is built when gptterm is installed, if there is a C compiler, and holds kernels for
several kinds of CPU; the best that this one runs are taken. Without it float32 and bfloat16 are
left to torch. It is opened by ctypes, which lets other threads run meanwhile.
"""

import ctypes
import importlib.util
from enum import IntEnum
from functools import cache

import torch
from torch import Tensor

PANEL, BLOCK = 32, 32
"""As in matrix.h."""


class Kind(IntEnum):
    """How weights are kept; as in matrix.h."""

    FLOAT32_IN_OUT = 0
    FLOAT32_OUT_IN = 1
    BFLOAT16 = 2
    FLOAT16 = 3
    INT8 = 4


class _Matrix(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_int32),
        ("inputs", ctypes.c_int32),
        ("outputs", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("weights", ctypes.c_void_p),
        ("scales", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
    )


@cache
def library() -> ctypes.CDLL | None:
    """The kernels, the best that this CPU runs chosen; None if they were not built."""
    spec = importlib.util.find_spec(f"{__name__}._kernels")
    if spec is None or spec.origin is None:
        return None
    try:
        opened = ctypes.CDLL(spec.origin)
    except OSError:  # built for another machine
        return None
    address, number = ctypes.c_void_p, ctypes.c_int
    opened.kernels_name.argtypes, opened.kernels_name.restype = (number,), ctypes.c_char_p
    opened.kernels_choose.argtypes, opened.kernels_choose.restype = (number,), None
    opened.matrix_multiply.argtypes = (address, address, number, address)
    opened.matrix_pack.argtypes = (address, address, address, ctypes.c_int64, ctypes.c_int64)
    opened.matrix_pack.restype = None
    rank = 0
    while opened.kernels_name(rank) is None:
        rank += 1
    opened.kernels_choose(rank)
    return opened


class Matrix:
    """y = x · W + b.

    Args:
        weights: as `kind` says, contiguous.
        scales: (outputs,) float32, of int8.
        bias: (outputs,) float32.
    """

    def __init__(
        self,
        kind: Kind,
        inputs: int,
        outputs: int,
        weights: Tensor,
        *,
        scales: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> None:
        opened = library()
        assert opened is not None
        self._multiply = opened.matrix_multiply
        self._kept = (weights, scales, bias)  # only their addresses are in the structure
        self._outputs = outputs
        self._matrix = _Matrix(
            kind, inputs, outputs, torch.get_num_threads(), *map(_address, self._kept)
        )
        self._address = ctypes.addressof(self._matrix)

    def __call__(self, x: Tensor) -> Tensor:
        """(m, inputs) float32 → (m, outputs) float32.

        A row's result has the same bits alone and among others.

        Raises:
            MemoryError: no room for a copy of the rows.
        """
        x = x.contiguous()
        rows = x.shape[0]
        y = torch.empty(rows, self._outputs)
        if not self._multiply(self._address, x.data_ptr(), rows, y.data_ptr()):
            raise MemoryError
        return y


def float32(weight: Tensor, bias: Tensor | None = None) -> Matrix:
    """A layer of (out, in) float32 weights, or a transposed view of (in, out) ones: no copy."""
    outputs, inputs = weight.shape
    if weight.t().is_contiguous():
        return Matrix(Kind.FLOAT32_IN_OUT, inputs, outputs, weight.t(), bias=bias)
    return Matrix(Kind.FLOAT32_OUT_IN, inputs, outputs, weight.contiguous(), bias=bias)


def half(weight: Tensor, dtype: torch.dtype, bias: Tensor | None = None) -> Matrix:
    """A layer of (out, in) weights, by any strides, kept in bfloat16 or float16."""
    opened = library()
    assert opened is not None
    outputs, inputs = weight.shape
    kind = Kind.BFLOAT16 if dtype == torch.bfloat16 else Kind.FLOAT16
    source = weight.to(dtype)
    panels = torch.empty(-(-outputs // PANEL), inputs, PANEL, dtype=dtype)
    made = Matrix(kind, inputs, outputs, panels, bias=bias)
    opened.matrix_pack(made._address, panels.data_ptr(), source.data_ptr(), *source.stride())
    return made


def int8(panels: Tensor, scales: Tensor, inputs: int, bias: Tensor | None = None) -> Matrix:
    """A layer of what `int8_panels` made."""
    return Matrix(Kind.INT8, inputs, len(scales), panels, scales=scales, bias=bias)


def int8_shape(outputs: int, inputs: int) -> tuple[int, int, int, int]:
    """The shape of a layer's `int8_panels`."""
    return -(-outputs // PANEL), -(-inputs // BLOCK) * BLOCK // 4, PANEL, 4


def int8_panels(weight: Tensor) -> Tensor:
    """(out, in) int8 → (panels, in / 4, PANEL, 4) uint8, each 128 more, filled up with zeros."""
    outputs, inputs = weight.shape
    panels, quarters, _, _ = int8_shape(outputs, inputs)
    filled = weight.new_zeros(panels * PANEL, quarters * 4)
    filled[:outputs, :inputs] = weight
    fours = filled.view(torch.int32).view(panels, PANEL, quarters).transpose(1, 2).contiguous()
    # Adding 128 to a signed byte turns over its highest bit.
    return fours.view(torch.uint8).view(panels, quarters, PANEL, 4) ^ 128


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()
