"""Tokens a second of gptterm and its peers, in one process with the same threads.

A process of its own, started by `python -m benchmarks`: it prints its rows as JSON, so that
torch's memory does not count in the other measurements.
"""

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks import engines, optional
from benchmarks.bandwidth import read_bandwidth
from benchmarks.engines import Contender
from benchmarks.report import Row
from gptterm.engine.device import configure_threads
from gptterm.engine.files import read_json

PROMPT_TOKENS = 32
TOKENS = {1: 65, 8: 33, 64: 17}
"""Samples decoded together → tokens of each."""


def measure(
    what: str, contenders: Mapping[str, Contender], samples: int, rounds: int, vocabulary: int
) -> Row:
    """Every contender in turn, round after round; the first round only warms up."""
    prompt = [i * 37 % (vocabulary - 1) for i in range(PROMPT_TOKENS)]
    runs: dict[str, list[float]] = {name: [] for name in contenders}
    for i in range(rounds + 1):
        for name, contender in contenders.items():
            value = contender(prompt, samples, TOKENS[samples])
            print(f"  {what}, {name}: {value:.1f} tok/s", file=sys.stderr)
            if i:
                runs[name].append(value)
    return Row(what=what, unit="tok/s", runs=runs)


def bandwidth_row(directory: Path, row: Row) -> Row:
    """What the memory allows, in tokens a second, and the share of it reached."""
    config = read_json(directory / "config.json")
    width, layers, vocabulary = config["n_embd"], config["n_layer"], config["vocab_size"]
    weights = 4 * (12 * layers * width**2 + vocabulary * width)  # matrices, head included
    past = 4 * 2 * layers * width * (PROMPT_TOKENS + TOKENS[1] / 2)
    bandwidth = read_bandwidth()
    limit = bandwidth / (weights + past)
    return Row(
        what="memory's limit, float32, batch 1",
        unit="tok/s",
        runs={"gptterm": row.runs["gptterm"], "memory": [limit] * len(row.runs["gptterm"])},
        notes=[
            f"{(weights + past) / 1e6:.0f} MB a token, measured {bandwidth / 1e9:.1f} GB/s;"
            " the ratio is the share reached"
        ],
    )


def rows(directory: Path, rounds: int) -> list[Row]:
    configure_threads()
    vocabulary = read_json(directory / "config.json")["vocab_size"]
    ours, transformers = engines.ours(directory, "float32"), engines.transformers(directory)
    single = {
        "gptterm": ours,
        "bare decoder": engines.bare(directory, "float32"),
        "transformers": transformers,
    }
    quantised = {
        "gptterm": engines.ours(directory, "int8"),
        "bare decoder": engines.bare(directory, "int8"),
        "transformers float32": transformers,
    }
    for package in ("llama_cpp", "ctranslate2"):
        if optional.installed(package):
            make = getattr(optional, package)
            single[package] = make(directory, "float32")
            quantised[package] = make(directory, "int8")
    first = measure("batch 1, float32", single, 1, rounds, vocabulary)
    first.reach = "≥ 1.15 × transformers, ≥ 0.97 × bare decoder"
    result = [first, measure("batch 1, int8", quantised, 1, rounds, vocabulary)]
    pair = {"gptterm": ours, "transformers": transformers}
    for samples in (8, 64):
        what = f"{samples} samples, float32"
        result.append(measure(what, pair, samples, rounds, vocabulary))
    return [*result, bandwidth_row(directory, first)]


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
