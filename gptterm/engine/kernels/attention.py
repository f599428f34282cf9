"""Attention of a few new tokens, one after the other or each of its own sequence."""

import ctypes

import torch
from torch import Tensor

from gptterm.engine.kernels.library import library


class _Attention(ctypes.Structure):
    """As in source/attention.h."""

    _fields_ = (
        ("rows", ctypes.c_int32),
        ("heads", ctypes.c_int32),
        ("head_dim", ctypes.c_int32),
        ("threads", ctypes.c_int32),
        ("window", ctypes.c_int32),
        ("half", ctypes.c_int32),
        ("scale", ctypes.c_float),
        ("query", ctypes.c_void_p),
        ("key", ctypes.c_void_p),
        ("value", ctypes.c_void_p),
        ("row_stride", ctypes.c_int64),
        ("keys", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
        ("sequence_stride", ctypes.c_int64),
        ("head_stride", ctypes.c_int64),
        ("positions", ctypes.c_void_p),
        ("y", ctypes.c_void_p),
    )


def supports(keys: Tensor) -> bool:
    """Whether a cache like this one is attended to here: one on a CPU that has kernels."""
    kept = keys.dtype in (torch.float32, torch.float16)
    return kept and keys.device.type == "cpu" and library() is not None


class Attention:
    """What the layers of one step have in common.

    Args:
        positions: (rows,) int64: where each row's new token stands in its sequence.
        same_sequence: whether the rows are consecutive tokens of one sequence, instead of one token
            each of several sequences.
    """

    def __init__(self, positions: Tensor, *, same_sequence: bool) -> None:
        opened = library()
        assert opened is not None
        self._run = opened.attention_forward
        self._positions = positions
        self._same_sequence = same_sequence
        self._job = _Attention(
            rows=len(positions), threads=torch.get_num_threads(), positions=positions.data_ptr()
        )

    def __call__(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        keys: Tensor,
        values: Tensor,
        scale: float | None,
        window: int | None,
    ) -> Tensor:
        """Store the new keys and values; (rows, width) of what the new tokens attend to.

        A row's result has the same bits alone and among others.

        Args:
            query, key, value: (rows, width) float32.
            keys, values: a layer's cache, (sequences, heads, capacity, head_dim) float32 or
                float16, in which what is too great becomes the greatest number.
            scale: what the scores are multiplied by; None is 1/√head_dim.
            window: a token sees itself and the `window - 1` before it; None is all before it.
        """
        if not query.stride() == key.stride() == value.stride() or query.stride(1) != 1:
            query, key, value = query.contiguous(), key.contiguous(), value.contiguous()
        y = torch.empty(query.shape)
        sequence_stride, head_stride, _, _ = keys.stride()
        job = self._job
        _, job.heads, _, job.head_dim = keys.shape
        job.window, job.half = window or 0, keys.dtype == torch.float16
        job.scale = job.head_dim**-0.5 if scale is None else scale
        job.query, job.key, job.value = query.data_ptr(), key.data_ptr(), value.data_ptr()
        job.row_stride = query.stride(0)
        job.keys, job.values = keys.data_ptr(), values.data_ptr()
        job.sequence_stride = 0 if self._same_sequence else sequence_stride
        job.head_stride = head_stride
        job.y = y.data_ptr()
        self._run(ctypes.addressof(job))
        return y
