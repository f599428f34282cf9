"""Command line of the benchmarks."""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import startup, warm
from benchmarks.report import Row, table, write_json

TYPING_S = 20.0
RUNS = Path(__file__).parent.parent / ".runs"


def throughput_rows(directory: Path, rounds: int) -> list[Row]:
    """The rows of a process of its own; see `benchmarks.throughput`."""
    command = [sys.executable, "-m", "benchmarks.throughput", str(directory)]
    done = subprocess.run(
        [*command, "--rounds", str(rounds)], stdout=subprocess.PIPE, check=True, text=True
    )
    return [Row(**row) for row in json.loads(done.stdout.splitlines()[-1])]


def tui_rows(directory: Path, rounds: int) -> list[Row]:
    """The rows of `benchmarks.tui`, which needs a pseudo-terminal."""
    from benchmarks import tui

    try:
        return tui.tui_rows(directory, rounds, TYPING_S)
    except tui.TypistGaveUpError as error:
        raise startup.CommandFailedError(str(error)) from error


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    cpu = platform.processor()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), cpu)
    packages = ("gptterm", "torch", "transformers", "tokenizers", "numpy")
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "platform": platform.platform(),
        "cpu": cpu,
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
    } | {package: version(package) for package in packages}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="gptterm beside its peers, one after the other in every round. Needs only"
        " what `make bench` installs; llama_cpp and ctranslate2 take part if they are there.",
    )
    parts: dict[str, Callable[[Path, int], list[Row]]] = {
        "help": lambda _, rounds: startup.help_rows(rounds),
        "cold": startup.cold_rows,
        "warm": warm.warm_rows,
        "first": lambda _, rounds: startup.first_run_rows(rounds),
        "throughput": throughput_rows,
        "tui": tui_rows,
    }
    parser.add_argument(
        "--model", type=Path, metavar="DIR", help="a GPT-2 directory [random weights of 124M]"
    )
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds [5]")
    parser.add_argument("--only", choices=parts, nargs="+", default=list(parts), metavar="PART")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go [.runs/]")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds must be 1 or more")

    directory = args.model or RUNS / "gpt2-shape"
    if args.model is None:
        # Elsewhere, since a process's memory counts in the peak of those it starts.
        subprocess.run([sys.executable, "-m", "benchmarks.shapes", str(directory)], check=True)
    facts, rows = machine(), []
    for name in args.only:
        print(f"{name}:", file=sys.stderr)
        try:
            rows += parts[name](directory, args.rounds)
        except (startup.CommandFailedError, subprocess.CalledProcessError) as error:
            print(f"  left out: {error}", file=sys.stderr)
    print(f"{facts['cpu']}, {facts['cpus']} CPUs, load {facts['load'][0]:.1f} at the start")
    print(table(rows))
    file = args.json or RUNS / time.strftime("bench-%Y%m%d-%H%M%S.json")
    write_json(file, facts, rows)
    print(f"\nWritten to {file}")


if __name__ == "__main__":
    main()
