"""Sums over rows of logits on the C kernel: what the statistics of a token are made of."""

import ctypes

import numpy as np
from numpy.typing import NDArray

from gptterm.cores import thread_count
from gptterm.engine.kernels.compiled import (
    FLOAT32,
    Floats,
    LogitsStruct,
    address,
    check,
    loaded_library,
)

Sums = NDArray[np.float64]


def logits_sums(logits: Floats, targets: NDArray[np.int64]) -> Sums:
    """Of each of (n, width) logits, with a target each: (n, 4) float64.

    The largest, NaN if it is infinite or a logit is NaN; of the weights exp(x - largest) the sum,
    and the sum of weight times x - largest; how many logits come before the target's, which are
    greater, or equal with a lower index.

    Raises:
        ValueError: the logits are no matrix of float32.
        IndexError: a target is not one of the columns.
    """
    rows, width = logits.shape
    check(logits, "logits", FLOAT32, rows, width)
    targets = np.ascontiguousarray(targets, np.int64)
    if targets.shape != (rows,) or ((targets < 0) | (targets >= width)).any():
        raise IndexError(f"targets of {rows} rows of {width} logits: {targets}")
    sums = np.empty((rows, 4))
    if rows:
        struct = LogitsStruct(width, address(logits), address(targets), address(sums))
        loaded_library().logits_forward(ctypes.addressof(struct), rows, thread_count())
    return sums
