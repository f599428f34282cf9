"""Benchmark parts in processes of their own.

torch's memory must not count in other measurements, and a crash must not lose earlier rows.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks.report import Row
from benchmarks.startup import CommandFailedError

Part = Callable[[Path, int], Iterator[Row]]
"""(model directory, rounds) → rows, each as soon as it is measured."""


def rows_of(module: str, directory: Path, rounds: int) -> Iterator[Row]:
    """Yield the rows that `python -m module` prints.

    Raises:
        CommandFailedError: it ended with an error; the rows before it were yielded.
    """
    command = [sys.executable, "-m", module, str(directory), "--rounds", str(rounds)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield Row(**json.loads(line))
    if process.returncode:
        raise CommandFailedError(f"{module} ended with exit code {process.returncode}")


def main(part: Part, description: str | None) -> None:
    """Command line of an isolated part: rows as JSON lines on stdout, all else on stderr."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"  # read when the library is imported
    rows, sys.stdout = sys.stdout, sys.stderr  # peers print as they like
    for row in part(args.directory, args.rounds):
        print(json.dumps(asdict(row)), file=rows, flush=True)
