"""Throughput of gptterm and its peers, in turn and with the same number of threads.

A process of its own, started by `python -m benchmarks`; see `benchmarks.isolated`.
"""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from benchmarks import engines, isolated, optional
from benchmarks.bandwidth import read_bandwidth
from benchmarks.engines import Contender, Steps
from benchmarks.machine import fastest_dtype
from benchmarks.model import sizes
from benchmarks.report import Row
from benchmarks.subprocess_runner import in_subprocess
from gptterm.engine.api import Dtype
from gptterm.engine.runtime.device import configure_threads
from gptterm.engine.runtime.model_files import read_json

PROMPT_TOKENS = 32
TOKENS = {1: 65, 8: 33, 64: 65}
"""Batch size → tokens of each sample."""
WARM_UP = 5
"""Tokens of the unmeasured round."""
TIMEOUT_S = 40.0
"""No further rounds of a row that has taken longer."""
DTYPES: tuple[Dtype, ...] = ("float32", "bfloat16", "float16", "int8")
MAIN_DTYPES: tuple[Dtype, ...] = ("float32", "int8")
REACH = {
    "float32": "≥ 2 × transformers, ≥ 0.95 × llama.cpp",
    "bfloat16": "≥ 2.8 × transformers",
    "float16": "≥ 2.8 × transformers, ≥ 0.95 × llama.cpp",
    "int8": "≥ 6.5 × transformers, ≥ 1.1 × llama.cpp",
}
Load = Callable[[], Contender]


def synthetic_prompt(vocabulary: int) -> list[int]:
    return [i * 37 % (vocabulary - 1) for i in range(PROMPT_TOKENS)]


def measure(
    what: str,
    contenders: Mapping[str, Load],
    samples: int,
    rounds: int,
    prompt: Sequence[int],
    tokens: Mapping[int, int] = TOKENS,
) -> Row:
    """Run every contender in each round; the first round only warms up.

    A contender that fails is left out, and a note says why.

    Raises:
        RuntimeError: the first contender, gptterm, failed.
    """
    ready: dict[str, Contender] = {}
    runs: dict[str, list[float]] = {}
    notes: list[str] = []

    def leave_out(name: str, error: Exception) -> None:
        if name == next(iter(contenders)):
            raise RuntimeError(f"{what}, {name}: {error}") from error
        ready.pop(name, None)
        runs.pop(name, None)
        notes.append(f"{name} is left out: {type(error).__name__}: {str(error)[:80]}")

    for name, load in contenders.items():
        try:
            ready[name] = load()
        except Exception as error:
            leave_out(name, error)
    started = time.monotonic()
    for i in range(rounds + 1):
        if i > 1 and time.monotonic() - started > TIMEOUT_S:
            break
        for name, contender in [*ready.items()]:
            try:
                value = contender(prompt, samples, tokens[samples] if i else WARM_UP)
            except Exception as error:
                leave_out(name, error)
                continue
            print(f"  {what}, {name}: {value:.1f} tok/s", file=sys.stderr)
            if i:
                runs.setdefault(name, []).append(value)
    return Row(what=what, unit="tok/s", runs=runs, notes=notes)


def overhead_row(what: str, ours: Steps, bare: Steps, rounds: int, prompt: Sequence[int]) -> Row:
    """Measure a step of the whole engine beside the decoder's alone.

    They alternate step by step, so that other load on the machine falls on both.
    """
    runs: dict[str, list[float]] = {"gptterm": [], "bare decoder": []}
    for _ in range(rounds):
        both = [ours(prompt, 1, TOKENS[1]), bare(prompt, 1, TOKENS[1])]
        for steps in both:
            next(steps)
        for _ in range(TOKENS[1] - 1):
            for steps, times in zip(both, runs.values(), strict=True):
                started = time.perf_counter()
                next(steps)
                times.append(1e3 * (time.perf_counter() - started))
    return Row(what=what, unit="ms", runs=runs, lower_is_better=True, reach="≥ 0.97 ×")


def add_bandwidth_limit(
    row: Row, directory: Path, dtype: str, tokens: int, bandwidth: float
) -> None:
    """Add the throughput that the memory's bandwidth (bytes a second) allows at batch 1.

    The ratio to it is the share of the bandwidth that is reached.
    """
    size = sizes(directory).step_bytes(dtype, PROMPT_TOKENS + tokens / 2)
    row.runs["memory's limit"] = [bandwidth / size] * len(row.runs["gptterm"])
    row.notes.append(f"{size / 1e6:.0f} MB a token, measured {bandwidth / 1e9:.1f} GB/s")


def single_contenders(directory: Path, dtype: Dtype) -> dict[str, Load]:
    """Contenders at batch 1: peers with weights of the same size, and transformers."""
    peer = "bfloat16" if dtype in ("bfloat16", "float16") else "float32"
    contenders: dict[str, Load] = {
        "gptterm": partial(in_subprocess, engines.pipeline, directory, dtype),
        f"transformers {peer}": partial(in_subprocess, engines.transformers, directory, peer),
    }
    if dtype in ("float32", "int8") and optional.installed("ctranslate2"):
        name = f"CTranslate2 {dtype}"
        contenders[name] = partial(in_subprocess, optional.ctranslate2, directory, dtype)
    if dtype in optional.GGUF_TYPES and optional.installed("llama_cpp"):
        name = f"llama.cpp {optional.GGUF_TYPES[dtype]}"
        contenders[name] = partial(in_subprocess, optional.llama_cpp, directory, dtype)
    return contenders


def batch_contenders(directory: Path, dtype: Dtype) -> dict[str, Load]:
    """Contenders for several samples: transformers in its fastest dtype beside int8."""
    peer = fastest_dtype() if dtype == "int8" else "float32"
    contenders: dict[str, Load] = {
        "gptterm": partial(in_subprocess, engines.pipeline, directory, dtype),
        f"transformers {peer}": partial(in_subprocess, engines.transformers, directory, peer),
    }
    if optional.installed("ctranslate2"):
        contenders["CTranslate2 int8"] = partial(
            in_subprocess, optional.ctranslate2, directory, "int8"
        )
    return contenders


def rows(directory: Path, rounds: int) -> Iterator[Row]:
    """All rows of this part; rows that fail are left out."""
    configure_threads()
    torch.set_grad_enabled(False)
    prompt = synthetic_prompt(read_json(directory / "config.json")["vocab_size"])
    bandwidth = read_bandwidth()

    def single(dtype: Dtype) -> Row:
        contenders = single_contenders(directory, dtype)
        row = measure(f"batch 1, {dtype}", contenders, 1, rounds, prompt)
        add_bandwidth_limit(row, directory, dtype, TOKENS[1], bandwidth)
        row.reach = REACH[dtype]
        return row

    def pipeline(dtype: Dtype) -> Row:
        ours, bare = engines.ours(directory, dtype), engines.bare(directory, dtype)
        return overhead_row(f"one step, {dtype}", ours, bare, rounds, prompt)

    def batch(samples: int, dtype: Dtype) -> Row:
        contenders = batch_contenders(directory, dtype)
        row = measure(f"{samples} samples, {dtype}", contenders, samples, rounds, prompt)
        if (samples, dtype) == (64, "int8"):
            row.reach = "≥ 5 × transformers, ≥ 1.5 × CTranslate2"
        return row

    yield from attempt(
        [
            *(partial(single, dtype) for dtype in DTYPES),
            *(partial(pipeline, dtype) for dtype in MAIN_DTYPES),
            *(partial(batch, samples, dtype) for samples in (8, 64) for dtype in MAIN_DTYPES),
        ]
    )


def attempt(measurements: Iterable[Callable[[], Row]]) -> Iterator[Row]:
    """Yield the rows of the measurements that succeed; stderr gets the other errors."""
    for measurement in measurements:
        try:
            yield measurement()
        except Exception as error:
            print(f"  left out: {type(error).__name__}: {error}", file=sys.stderr)


if __name__ == "__main__":
    isolated.main(rows, __doc__)
