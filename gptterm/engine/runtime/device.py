"""Choice of the device, the dtype and the number of threads, and the memory available.

torch is imported only where a GPU may be: its import takes longer than all else that a start does.
"""

from __future__ import annotations

import ctypes
import gc
import math
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from gptterm.cores import thread_count, usable_cores
from gptterm.engine.api import Dtype
from gptterm.errors import ModelError

if TYPE_CHECKING:
    from types import ModuleType

_DRIVERS = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}
"""CUDA's driver library, which comes with the driver and not with torch."""
_CONTROL_GROUP = Path("/sys/fs/cgroup")
"""A container's own; on the host, that of all, which has no limit."""
_AMD = Path("/dev/kfd")
"""AMD's compute device; torch calls these GPUs CUDA devices, too."""


@dataclass(frozen=True)
class DeviceInfo:
    """A device that models can run on. Sizes in bytes; 0 if unknown."""

    name: str
    description: str
    total_bytes: int
    free_bytes: int


def select_device(name: str) -> str:
    """Resolve `auto`, and check that a named device exists.

    Raises:
        ModelError: this machine has no such device.
    """
    cuda, mps = _cuda_devices(), _has_mps()
    if name == "auto":
        return "cuda:0" if cuda else "mps" if mps else "cpu"
    kind, _, index = name.partition(":")
    if kind == "cuda":
        if not cuda:
            raise ModelError("no CUDA device is usable here; --device cpu works everywhere")
        if index and (not index.isdecimal() or int(index) >= cuda):
            raise ModelError(f"{name} does not exist; this machine has cuda:0 to cuda:{cuda - 1}")
        return f"cuda:{index or 0}"
    if name == "mps" and not mps:
        raise ModelError("no Apple GPU is usable here; --device cpu works everywhere")
    if name not in ("cpu", "mps"):
        raise ModelError(f"unknown device {name!r}; known are auto, cpu, cuda, cuda:N and mps")
    return name


def _cuda_devices() -> int:
    """Number of CUDA devices that torch can use."""
    if not _may_have_cuda():
        return 0
    torch = _torch()
    count: int = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return count


@cache
def _may_have_cuda() -> bool:
    """Whether the driver knows a device, which torch may lack the code for."""
    if _AMD.exists():
        return True
    try:
        driver = ctypes.CDLL(_DRIVERS[sys.platform])
        count = ctypes.c_int(0)
        found = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    except (KeyError, OSError, AttributeError):  # no driver here
        return False
    return found and count.value > 0


def devices_of_kind(device: str) -> list[str]:
    """All CUDA devices for one of them; any other device alone."""
    if not device.startswith("cuda"):
        return [device]
    return [f"cuda:{i}" for i in range(_cuda_devices())]


def _has_mps() -> bool:
    """Whether torch can use an Apple GPU."""
    return sys.platform == "darwin" and bool(_torch().backends.mps.is_available())


def _torch() -> ModuleType:
    import torch

    return torch


def select_dtype(device: str, stored: str, size: int) -> Dtype:
    """Resolve the dtype `auto`: exact where affordable, otherwise fast on the device.

    Args:
        stored: dtype of the weights in the file.
        size: bytes of the weights in the file.
    """
    if device.startswith("cuda"):
        return "bfloat16" if _torch().cuda.is_bf16_supported() else "float16"
    if device == "mps":
        return "float16"
    halves = stored in ("bfloat16", "float16")
    if halves and 2 * size > available_memory() // 2:
        return "bfloat16"
    return "float32"


def describe_devices() -> list[DeviceInfo]:
    """List the devices that `--device` can name on this machine, the best first."""
    devices = []
    for i in range(_cuda_devices()):
        cuda = _torch().cuda
        free, total = cuda.mem_get_info(i)
        devices.append(DeviceInfo(f"cuda:{i}", cuda.get_device_name(i), total, free))
    if _has_mps():
        devices.append(DeviceInfo("mps", "Apple GPU", 0, 0))
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cpu = DeviceInfo("cpu", f"{usable_cores()} cores", total, available_memory())
    return [*devices, cpu]


def configure_threads() -> int:
    """Let torch use as many threads as the kernels; return their number."""
    torch = _torch()
    torch.set_num_threads(thread_count())
    count: int = torch.get_num_threads()
    return count


def available_memory() -> int:
    """Bytes of main memory available without swapping, and within a container's limit."""
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                available = int(line.split()[1]) * 1024
    except OSError:
        pass
    return int(min(available, room_of_group(_CONTROL_GROUP)))


def room_of_group(folder: Path) -> float:
    """Bytes that a control group of Linux (version 2) may still take; infinity without a limit."""
    try:
        limit = (folder / "memory.max").read_text().strip()
        used = int((folder / "memory.current").read_text())
        lines = (folder / "memory.stat").read_text().splitlines()
        # Pages of files count as used, and give way.
        files = sum(int(x.split()[1]) for x in lines if x.startswith(("active_f", "inactive_f")))
        return math.inf if limit == "max" else max(0, int(limit) - used + files)
    except (OSError, ValueError, IndexError):
        return math.inf


def free_memory(device: str) -> int:
    """Bytes that a device has free: main memory, except for a CUDA device."""
    if device.startswith("cuda"):
        free: int = _torch().cuda.mem_get_info(device)[0]
        return free
    return available_memory()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that a device, or the machine, is out of memory."""
    of_torch = getattr(sys.modules.get("torch"), "OutOfMemoryError", MemoryError)
    if isinstance(error, (MemoryError, of_torch)):
        return True
    # The allocators for the CPU and for Apple's GPUs, and mapping a file, raise a plain
    # RuntimeError.
    words = ("can't allocate memory", "Cannot allocate memory", "out of memory")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def release_memory() -> None:
    """Return freed memory to the device, for the next request."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch and torch.cuda.is_available():
        torch.cuda.empty_cache()
    if torch and torch.backends.mps.is_available():
        torch.mps.empty_cache()
