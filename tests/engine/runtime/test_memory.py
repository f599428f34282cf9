"""Pages of mapped files are forgotten, and nothing else is."""

import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from safetensors.numpy import save_file

from gptterm.engine.decoders.weights import map_tensors
from gptterm.engine.runtime import memory
from gptterm.engine.runtime.safetensors_header import read_header

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux tells of mappings")


def test_a_files_pages_are_forgotten_and_read_again(tmp_path: Path) -> None:
    size = 32 << 20
    file = tmp_path / "x.safetensors"
    save_file({"x": np.arange(size // 4, dtype=np.int32)}, file)
    x = map_tensors(file, read_header(file))["x"].array
    total = int(x.sum(dtype=np.int64))
    pages, process = memory.FilePages(), psutil.Process()
    before = process.memory_info().rss
    pages.release(x)
    assert process.memory_info().rss < before - size * 3 // 4
    assert int(x.sum(dtype=np.int64)) == total


def test_memory_of_ones_own_is_kept() -> None:
    x = np.ones(1 << 20)
    memory.FilePages().release(x)
    assert bool((x == 1).all())


def test_what_malloc_keeps_is_given_back() -> None:
    memory.trim()
