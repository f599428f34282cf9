"""The C interface: structures, signatures, and the opening of the compiled library."""

import ctypes
import importlib.util
import logging
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOAT32 = np.dtype(np.float32)
Floats = NDArray[np.float32]
PANEL, QUANT_BLOCK, KEY_BLOCK = 32, 32, 32
"""As in source/linear.h and source/attention.h."""

_log = logging.getLogger(__name__)


class LinearStruct(ctypes.Structure):
    """`linear` in source/linear.h."""

    _fields_ = (
        ("format", ctypes.c_int32),
        ("inputs", ctypes.c_int32),
        ("outputs", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("weights", ctypes.c_void_p),
        ("scales", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
    )


class LayerNormStruct(ctypes.Structure):
    """`layer_norm` in source/elementwise.h."""

    _fields_ = (
        ("width", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("epsilon", ctypes.c_float),
        ("weight", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
    )


class AttentionStruct(ctypes.Structure):
    """`attention` in source/attention.h."""

    _fields_ = (
        ("rows", ctypes.c_int32),
        ("heads", ctypes.c_int32),
        ("kv_heads", ctypes.c_int32),
        ("head_dim", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("capacity", ctypes.c_int32),
        ("window", ctypes.c_int32),
        ("kv", ctypes.c_int32),
        ("scale", ctypes.c_float),
        ("soft_cap", ctypes.c_float),
        ("query", ctypes.c_void_p),
        ("key", ctypes.c_void_p),
        ("value", ctypes.c_void_p),
        ("query_stride", ctypes.c_int64),
        ("kv_stride", ctypes.c_int64),
        ("keys", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("sequence_stride", ctypes.c_int64),
        ("head_stride", ctypes.c_int64),
        ("positions", ctypes.c_void_p),
        ("sources", ctypes.c_void_p),
        ("shared", ctypes.c_void_p),
        ("bias", ctypes.c_void_p),
        ("bias_stride", ctypes.c_int64),
        ("y", ctypes.c_void_p),
    )


class RotaryStruct(ctypes.Structure):
    """`rotary_job` in source/elementwise.h."""

    _fields_ = (
        ("rows", ctypes.c_int32),
        ("heads", ctypes.c_int32),
        ("head_dim", ctypes.c_int32),
        ("half", ctypes.c_int32),
        ("neighbours", ctypes.c_int32),
        ("x", ctypes.c_void_p),
        ("cosine", ctypes.c_void_p),
        ("sine", ctypes.c_void_p),
    )


class LogitsStruct(ctypes.Structure):
    """`logits_job` in source/elementwise.h."""

    _fields_ = (
        ("width", ctypes.c_int64),
        ("x", ctypes.c_void_p),
        ("targets", ctypes.c_void_p),
        ("y", ctypes.c_void_p),
    )


class OperationStruct(ctypes.Structure):
    """`operation` in source/program.h."""

    _fields_ = (
        ("kind", ctypes.c_int32),
        ("number", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("count", ctypes.c_int64),
        ("layer", ctypes.c_void_p),
        ("x", ctypes.c_void_p),
        ("other", ctypes.c_void_p),
        ("y", ctypes.c_void_p),
        ("results", ctypes.c_void_p),
    )


REVISION = 3
"""That of source/kernels.h."""
_STRUCTS = (
    LinearStruct,
    LayerNormStruct,
    AttentionStruct,
    RotaryStruct,
    LogitsStruct,
    OperationStruct,
)
LAYOUT = (
    *map(ctypes.sizeof, _STRUCTS),
    PANEL,
    QUANT_BLOCK,
    KEY_BLOCK,
    REVISION,
)
"""Layout that `kernels_layout` in source/dispatch.c must report."""

_POINTER, _INT, _LONG = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_FUNCTIONS: dict[str, tuple[type | None, tuple[type, ...]]] = {
    "kernels_name": (ctypes.c_char_p, (_INT,)),
    "kernels_select": (None, (_INT,)),
    "kernels_selected_name": (ctypes.c_char_p, ()),
    "linear_forward": (_INT, (_POINTER, _POINTER, _INT, _POINTER, _POINTER)),
    "linears_forward": (_INT, (_POINTER, _INT, _POINTER, _INT, _POINTER)),
    "linear_pack": (None, (_POINTER, _POINTER, _POINTER, _LONG, _LONG)),
    "linear_convert": (None, (_POINTER, _POINTER, _POINTER, _POINTER, _LONG, _LONG)),
    "blocks_size": (_INT, (_INT,)),
    "blocks_packed_size": (_LONG, (_POINTER,)),
    "blocks_pack": (None, (_POINTER, _POINTER, _POINTER, _POINTER)),
    "blocks_unpack": (None, (_POINTER, _POINTER, _INT, _POINTER)),
    "attention_forward": (_INT, (_POINTER,)),
    "layer_norm_forward": (None, (_POINTER, _POINTER, _INT, _POINTER)),
    "rms_norm_forward": (None, (_POINTER, _POINTER, _INT, _POINTER)),
    "rotary_forward": (None, (_POINTER, _INT)),
    "logits_forward": (None, (_POINTER, _INT, _INT)),
    "activation_forward": (None, (_INT, _POINTER, _POINTER, _LONG, _INT)),
    "pool_leave_core": (None, (_LONG,)),
    "program_run": (_INT, (_POINTER, _INT, _INT, _POINTER, _POINTER)),
}
"""The library's functions: type of the result, and of the arguments."""


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels, the fastest that this CPU supports selected; None if there are none.

    A library that was built from other sources than these counts as none; the log says so.
    """
    spec = importlib.util.find_spec(f"{__package__}._kernels")
    return None if spec is None or spec.origin is None else open_library(spec.origin)


def kernels_name() -> str | None:
    """The instruction sets of the kernels in use; None without kernels."""
    lib = library()
    return None if lib is None else lib.kernels_selected_name().decode()


def loaded_library() -> ctypes.CDLL:
    """`library`, where it is known that there is one."""
    lib = library()
    assert lib is not None
    return lib


def open_library(file: str) -> ctypes.CDLL | None:
    """Open a compiled library, as `library` does."""
    try:
        lib = ctypes.CDLL(file)
    except OSError:  # built for another machine
        return None
    if not _is_of_these_sources(lib):
        _log.warning(
            "%s was built from another version of its sources and is not used;"
            " install gptterm again to build it",
            file,
        )
        return None
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    rank = 0
    while lib.kernels_name(rank) is None:
        rank += 1
    lib.kernels_select(rank)
    return lib


def _is_of_these_sources(lib: ctypes.CDLL) -> bool:
    """Whether it has this layout, and every function."""
    try:
        found = tuple((ctypes.c_int32 * len(LAYOUT)).in_dll(lib, "kernels_layout"))
    except ValueError:  # no such symbol: older than the check
        return False
    return found == LAYOUT and all(hasattr(lib, name) for name in _FUNCTIONS)


def check(array: NDArray[Any], name: str, dtype: np.dtype[Any], *shape: int) -> NDArray[Any]:
    """The array, if C may read it as contiguous numbers of this dtype and shape.

    Raises:
        ValueError: it may not.
    """
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(
            f"{name} must be {dtype} of shape {shape}, not {array.dtype} of {array.shape}"
        )
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be contiguous")
    return array


def address(array: NDArray[Any]) -> int:
    """Where an array's first number lies."""
    try:
        return _addressof(_char_at(array))  # half the time of `ctypes.data`
    except (TypeError, ValueError, BufferError):  # read-only, empty, or with gaps
        return array.ctypes.data


_addressof = ctypes.addressof
_char_at: Callable[[Any], ctypes.c_char] = ctypes.c_char.from_buffer
