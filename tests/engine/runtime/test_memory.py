"""Pages of mapped files are forgotten, and nothing else is."""

import sys
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file, save_file

from gptterm.engine.runtime import memory

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells of mappings")


def test_a_files_pages_are_forgotten_and_read_again(tmp_path: Path) -> None:
    size = 32 << 20
    save_file({"x": torch.arange(size // 4, dtype=torch.int32)}, tmp_path / "x.safetensors")
    x = load_file(tmp_path / "x.safetensors")["x"]
    total = int(x.sum(dtype=torch.int64))
    pages, process = memory.FilePages(), psutil.Process()
    before = process.memory_info().rss
    pages.release(x)
    assert process.memory_info().rss < before - size * 3 // 4
    assert int(x.sum(dtype=torch.int64)) == total


def test_memory_of_ones_own_is_kept() -> None:
    x = torch.ones(1 << 20)
    memory.FilePages().release(x)
    assert bool((x == 1).all())


def test_what_malloc_keeps_is_given_back() -> None:
    memory.trim()
