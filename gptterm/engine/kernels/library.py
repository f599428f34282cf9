"""Opens the compiled kernels."""

import ctypes
import importlib.util
from functools import cache

from torch import Tensor


@cache
def library() -> ctypes.CDLL | None:
    """The kernels, the best that this CPU runs chosen; None if they were not built."""
    spec = importlib.util.find_spec(f"{__package__}._kernels")
    if spec is None or spec.origin is None:
        return None
    try:
        opened = ctypes.CDLL(spec.origin)
    except OSError:  # built for another machine
        return None
    address, number = ctypes.c_void_p, ctypes.c_int
    opened.kernels_name.argtypes, opened.kernels_name.restype = (number,), ctypes.c_char_p
    opened.kernels_select.argtypes, opened.kernels_select.restype = (number,), None
    opened.linear_forward.argtypes = (address, address, number, address, address)
    opened.linear_pack.argtypes = (address, address, address, ctypes.c_int64, ctypes.c_int64)
    opened.attention_forward.argtypes = (address,)
    opened.layer_norm_forward.argtypes = (address, number)
    opened.gelu_forward.argtypes = (address, ctypes.c_int64, number)
    for function in ("linear_pack", "attention_forward", "layer_norm_forward", "gelu_forward"):
        getattr(opened, function).restype = None
    rank = 0
    while opened.kernels_name(rank) is None:
        rank += 1
    opened.kernels_select(rank)
    return opened


def address(tensor: Tensor | None) -> int:
    """Where a tensor's numbers are; 0 for none."""
    return 0 if tensor is None else tensor.data_ptr()
