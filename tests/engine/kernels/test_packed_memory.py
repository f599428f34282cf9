"""Memory of packed weights: pieces apart, on cache lines, freed with the last one."""

import mmap
import weakref
from typing import Any

import pytest

from gptterm.engine.kernels.packed_memory import _REGION, PackedMemory, aligned


def test_pieces_lie_apart_on_cache_lines() -> None:
    memory = PackedMemory()
    sizes = [1, 64, 0, 65, 1 << 20, _REGION + 1, 100, _REGION - 1, 7]
    found = [memory.allocate(size) for size in sizes]
    for i, each in enumerate(found):
        assert each.nbytes == sizes[i]
        assert each.ctypes.data % 64 == 0
        each[:] = i
    assert all((each == i).all() for i, each in enumerate(found))
    assert all(aligned(size).ctypes.data % 64 == 0 for size in sizes)


def test_memory_goes_with_the_last_piece() -> None:
    memory = PackedMemory()
    first, second = memory.allocate(10), memory.allocate(10)
    pages: Any = first
    while not isinstance(pages, mmap.mmap):
        pages = pages.obj if isinstance(pages, memoryview) else pages.base
    held = weakref.ref(pages)
    del memory, first, pages
    assert held() is not None
    del second
    assert held() is None


def test_no_room_and_no_huge_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MemoryError, match="no room for"):
        PackedMemory().allocate(1 << 60)
    monkeypatch.setattr(mmap, "MADV_HUGEPAGE", -1)  # refused, as a kernel without them does
    assert PackedMemory().allocate(5).nbytes == 5
    monkeypatch.delattr(mmap, "MADV_HUGEPAGE")
    assert PackedMemory().allocate(5).nbytes == 5
