"""Return memory to the system that a loaded model no longer needs."""

import ctypes
import sys
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

_PAGE = 4096
_DONTNEED = 4  # MADV_DONTNEED in Linux' <sys/mman.h>


def trim() -> None:
    """Return malloc's free memory to the system: 15 MB after loading a tokenizer."""
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)


class FilePages:
    """Pages of the files that are mapped now.

    Pages that were read count as this process's memory until they are released; a later access
    reads them again. Without /proc no mappings are known, and nothing is released.
    """

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int]] = []
        try:
            lines = Path("/proc/self/maps").read_text().splitlines()
        except OSError:
            return
        for line in lines:
            addresses, _, _, _, inode, *_ = line.split(maxsplit=5)
            if inode != "0":
                start, end = addresses.split("-")
                self._ranges.append((int(start, 16), int(end, 16)))

    def release(self, array: NDArray[Any]) -> None:
        """Release the pages of a file that hold nothing but this array."""
        if not (array.flags.c_contiguous or array.flags.f_contiguous):
            return
        start = -(-array.ctypes.data // _PAGE) * _PAGE
        end = (array.ctypes.data + array.nbytes) // _PAGE * _PAGE
        if start < end and any(low <= start and end <= high for low, high in self._ranges):
            ctypes.CDLL(None).madvise(
                ctypes.c_void_p(start), ctypes.c_size_t(end - start), _DONTNEED
            )
