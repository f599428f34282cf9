"""Read bandwidth of the memory: the limit at batch 1, where each token reads every weight."""

import time
from collections.abc import Callable

import torch
from torch import Tensor

BYTES = 1 << 30
_COLUMNS = 2048


def read_bandwidth(repetitions: int = 5, device: str = "cpu") -> float:
    """Measure bytes a second: the fastest of several passes over a GiB, on all threads."""
    matrix = torch.ones(BYTES // 4 // _COLUMNS, _COLUMNS, device=device)
    vector = torch.ones(_COLUMNS, device=device)
    kernels: list[Callable[[], Tensor]] = [lambda: torch.mv(matrix, vector), matrix.sum]
    seconds = []
    with torch.inference_mode():
        for _ in range(repetitions):
            for kernel in kernels:
                started = time.perf_counter()
                kernel()
                if device != "cpu":
                    torch.cuda.synchronize()
                seconds.append(time.perf_counter() - started)
    return BYTES / min(seconds)
