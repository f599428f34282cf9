"""Tokens a second of gptterm and its peers, in one process with the same threads.

A process of its own, started by `python -m benchmarks`: it prints its rows as JSON, so that
torch's memory does not count in the other measurements.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks import engines, optional
from benchmarks.bandwidth import read_bandwidth
from benchmarks.engines import Contender, Steps, timed
from benchmarks.report import Row
from gptterm.engine.device import configure_threads
from gptterm.engine.files import read_json

PROMPT_TOKENS = 32
TOKENS = {1: 65, 8: 33, 64: 17}
"""Samples decoded together → tokens of each."""


def made_up_prompt(vocabulary: int) -> list[int]:
    return [i * 37 % (vocabulary - 1) for i in range(PROMPT_TOKENS)]


def measure(
    what: str, contenders: Mapping[str, Contender], samples: int, rounds: int, vocabulary: int
) -> Row:
    """Every contender in turn, round after round; the first round only warms up."""
    prompt = made_up_prompt(vocabulary)
    runs: dict[str, list[float]] = {name: [] for name in contenders}
    for i in range(rounds + 1):
        for name, contender in contenders.items():
            value = contender(prompt, samples, TOKENS[samples])
            print(f"  {what}, {name}: {value:.1f} tok/s", file=sys.stderr)
            if i:
                runs[name].append(value)
    return Row(what=what, unit="tok/s", runs=runs)


def pipeline_row(what: str, ours: Steps, bare: Steps, rounds: int, vocabulary: int) -> Row:
    """What sampling, text and events add to a decoder's step: the two in turn, step by step, so
    that whatever else the machine does falls on both."""
    prompt = made_up_prompt(vocabulary)
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
    return Row(what=what, unit="ms", runs=runs, lower_is_better=True)


def bandwidth_row(directory: Path, rates: Sequence[float]) -> Row:
    """What the memory allows, in tokens a second, and the share of it reached."""
    config = read_json(directory / "config.json")
    width, layers, vocabulary = config["n_embd"], config["n_layer"], config["vocab_size"]
    weights = 4 * (12 * layers * width**2 + vocabulary * width)  # matrices, head included
    past = 4 * 2 * layers * width * (PROMPT_TOKENS + TOKENS[1] / 2)
    bandwidth = read_bandwidth()
    limit = bandwidth / (weights + past)
    note = (
        f"{(weights + past) / 1e6:.0f} MB a token, measured {bandwidth / 1e9:.1f} GB/s;"
        " the ratio is the share reached"
    )
    return Row(
        what="memory's limit, float32, batch 1",
        unit="tok/s",
        runs={"gptterm": list(rates), "memory": [limit] * len(rates)},
        notes=[note],
    )


def rows(directory: Path, rounds: int) -> list[Row]:
    configure_threads()
    vocabulary = read_json(directory / "config.json")["vocab_size"]
    transformers = engines.transformers(directory)
    single: list[Row] = []
    pipeline: list[Row] = []
    dtypes: tuple[optional.Precision, ...] = ("float32", "int8")
    for dtype in dtypes:
        ours, bare = engines.ours(directory, dtype), engines.bare(directory, dtype)
        contenders = {"gptterm": timed(ours), "transformers float32": transformers}
        for package in ("llama_cpp", "ctranslate2"):
            if optional.installed(package):
                contenders[package] = timed(getattr(optional, package)(directory, dtype))
        single.append(measure(f"batch 1, {dtype}", contenders, 1, rounds, vocabulary))
        what = f"one step, {dtype}"
        pipeline.append(pipeline_row(what, ours, bare, rounds, vocabulary))
    single[0].reach = "≥ 1.15 × transformers"
    pipeline[0].reach = "≥ 0.97 ×"
    pair = {"gptterm": timed(engines.ours(directory, "float32")), "transformers": transformers}
    batches = [
        measure(f"{samples} samples, float32", pair, samples, rounds, vocabulary)
        for samples in (8, 64)
    ]
    return [*single, *pipeline, *batches, bandwidth_row(directory, single[0].runs["gptterm"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--rounds", type=int, required=True)
    args = parser.parse_args()
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # read when the library is imported
    with torch.inference_mode():
        print(json.dumps([asdict(row) for row in rows(args.directory, args.rounds)]))


if __name__ == "__main__":
    main()
