"""Memory for packed weights, in huge pages that a model's layers share.

A small model's layer is too small for huge pages of its own, and at the end of each small page the
CPU stops reading ahead.
"""

import contextlib
import mmap
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Allocate = Callable[[int], Bytes]
"""Makes an array of so many bytes, uninitialised, that begins on a cache line."""

_LINE = 64
"""Bytes of a cache line."""
_HUGE = 2 << 20
"""Bytes of a huge page."""
_REGION = 32 << 20
"""Bytes that are mapped at once; what no layer has reached takes no memory."""


def aligned(size: int) -> Bytes:
    """As `Allocate`, in memory of its own."""
    memory = np.empty(size + _LINE, np.uint8)
    return memory[-memory.ctypes.data % _LINE :][:size]


class PackedMemory:
    """Memory of one model's layers, freed with the last of them."""

    def __init__(self) -> None:
        self._free = np.empty(0, np.uint8)

    def allocate(self, size: int) -> Bytes:
        """See `Allocate`.

        Raises:
            MemoryError: no room for it.
        """
        taken = -(-size // _LINE) * _LINE
        if taken > len(self._free):
            self._free = _huge_pages(max(_REGION, -(-taken // _HUGE) * _HUGE))
        found, self._free = self._free[:size], self._free[taken:]
        return found


def _huge_pages(size: int) -> Bytes:
    """Bytes that begin on a huge page, where the system has them."""
    try:
        pages = mmap.mmap(-1, size + _HUGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except (OSError, OverflowError, ValueError) as error:
        raise MemoryError(f"no room for {size} bytes of weights") from error
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without them
            pages.madvise(mmap.MADV_HUGEPAGE)
    memory = np.frombuffer(pages, np.uint8)
    return memory[-memory.ctypes.data % _HUGE :][:size]
