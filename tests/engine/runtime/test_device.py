"""Devices are found without torch, which is asked only where the driver knows a GPU."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gptterm.engine.runtime import device
from gptterm.errors import ModelError

WITHOUT_GPU = """
import sys
sys.modules["torch"] = None  # its import fails
from gptterm.engine.runtime.device import *
from gptterm.errors import ModelError
assert select_device("auto") == select_device("cpu") == "cpu"
assert [info.name for info in describe_devices()] == ["cpu"]
assert is_out_of_memory(MemoryError()) and not is_out_of_memory(ValueError("out of memory"))
release_memory()
assert select_dtype("cpu", "bfloat16", 1000) == "float32"
assert select_dtype("cpu", "bfloat16", 1 << 60) == "bfloat16"
assert select_dtype("cpu", "float32", 1 << 60) == "float32"
for name in ("cuda", "cuda:3", "mps"):
    try:
        select_device(name)
    except ModelError as error:
        print(error)
"""
DRIVER = """
int cuInit(unsigned flags) { return (int)flags; }
int cuDeviceGetCount(int *count) { *count = COUNT; return 0; }
"""
WITH_DRIVER = """
import sys
from gptterm.engine.runtime.device import select_device
print(select_device("auto"), "torch" in sys.modules)
"""


def _run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    return done.stdout


@pytest.mark.skipif(device.select_device("auto") != "cpu", reason="a GPU")
def test_a_machine_without_a_gpu_needs_no_torch() -> None:
    assert _run(WITHOUT_GPU).splitlines() == [
        "no CUDA device is usable here; --device cpu works everywhere",
        "no CUDA device is usable here; --device cpu works everywhere",
        "no Apple GPU is usable here; --device cpu works everywhere",
    ]


@pytest.mark.skipif(
    sys.platform != "linux" or not shutil.which("gcc") or device.select_device("auto") != "cpu",
    reason="a driver is compiled for a Linux machine without one",
)
@pytest.mark.parametrize("count", [0, 1])
def test_torch_has_the_last_word_on_the_drivers_devices(count: int, tmp_path: Path) -> None:
    source, library = tmp_path / "driver.c", tmp_path / "libcuda.so.1"
    source.write_text(DRIVER)
    command = ["gcc", f"-DCOUNT={count}", "-shared", "-fPIC", str(source), "-o", str(library)]
    subprocess.run(command, check=True)
    assert _run(WITH_DRIVER, LD_LIBRARY_PATH=str(tmp_path)) == f"cpu {count > 0}\n"


@pytest.mark.parametrize("name", ["gpu", "cpu:0", "cuda:x", "cuda:²", "CUDA", ""])
def test_names_that_no_machine_has(name: str) -> None:
    with pytest.raises(ModelError, match=r"unknown device|no CUDA device|does not exist"):
        device.select_device(name)
