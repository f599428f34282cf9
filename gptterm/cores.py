"""Number of cores that this process computes on."""

import os
from functools import cache
from pathlib import Path


def thread_count() -> int:
    """Threads to compute with: OMP_NUM_THREADS if that is set, otherwise `usable_cores`."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() and 0 < int(first) <= _MOST else usable_cores()


_MOST = 1024


@cache
def usable_cores() -> int:
    """Count the physical cores within the CPU affinity and the cgroup's quota.

    One thread too many costs far more than it gives: each layer waits for the slowest.
    """
    if hasattr(os, "sched_getaffinity"):
        allowed = os.sched_getaffinity(0)
    else:
        allowed = set(range(os.cpu_count() or 1))
    cores = len({_siblings(cpu) for cpu in allowed})
    quota = _cgroup_quota()
    return max(1, min(cores, int(quota) if quota else cores))


def _siblings(cpu: int) -> str:
    """The hardware threads of a CPU's core; the CPU's own number if unknown."""
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        return path.read_text().strip()
    except OSError:
        return str(cpu)


def _cgroup_quota() -> float | None:
    """CPU quota of this cgroup (version 2), in CPUs; None without a limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None
