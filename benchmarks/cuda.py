"""Throughput on a GPU, beside transformers' eager `generate` on the same one.

    python -m benchmarks --only cuda

Prints nothing but a line on stderr where there is no GPU.
"""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from benchmarks import engines, isolated
from benchmarks.bandwidth import read_bandwidth
from benchmarks.report import Row
from benchmarks.throughput import Load, add_bandwidth_limit, attempt, measure, synthetic_prompt
from gptterm.engine.runtime.model_files import read_json

TOKENS = {1: 513, 256: 257}
"""Batch size → tokens of each sample."""
REACH = {
    1: "H200: ≥ 2,500 tok/s and ≥ 10 × transformers",
    256: "H200: ≥ 60,000 tok/s",
}


def batch(directory: Path, rounds: int, samples: int, device: str = "cuda:0") -> Row:
    """Measure one batch size, in bfloat16."""
    contenders: dict[str, Load] = {
        "gptterm": lambda: engines.timed(engines.ours(directory, "bfloat16", device)),
        "transformers bfloat16": lambda: engines.transformers(directory, "bfloat16", device),
    }
    prompt = synthetic_prompt(read_json(directory / "config.json")["vocab_size"])
    what = f"{device.partition(':')[0].upper()}, batch {samples}, bfloat16"
    row = measure(what, contenders, samples, rounds, prompt, TOKENS)
    row.reach = REACH[samples]
    if samples == 1:
        add_bandwidth_limit(row, directory, "bfloat16", TOKENS[1], read_bandwidth(device=device))
    if device != "cpu":
        row.notes.append(torch.cuda.get_device_name(device))
    return row


def rows(directory: Path, rounds: int) -> Iterator[Row]:
    if not torch.cuda.is_available():
        print("  no CUDA device here", file=sys.stderr)
        return
    torch.set_grad_enabled(False)
    yield from attempt(partial(batch, directory, rounds, samples) for samples in TOKENS)


if __name__ == "__main__":
    isolated.main(rows, __doc__)
