"""Start-up with a warm engine, beside a process that loads the model."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.report import Row
from benchmarks.startup import PROMPT, Command, CommandFailedError, executable, measure


@contextmanager
def warm_engine(options: list[str]) -> Iterator[Mapping[str, str]]:
    """Start a warm engine, yield the environment in which commands find it, and stop it.

    Raises:
        CommandFailedError: it cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="warm-") as place:
        environment = {"GPTTERM_HOME": place, "XDG_RUNTIME_DIR": place, "HF_HUB_OFFLINE": "1"}

        def engine(*arguments: str) -> None:
            command = [*executable("gptterm"), "engine", *arguments]
            done = subprocess.run(
                command, env={**os.environ, **environment}, check=False,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            if done.returncode:
                raise CommandFailedError(f"engine {arguments[0]}: {done.stderr.strip()}")

        engine("start", *options)
        try:
            yield environment
        finally:
            engine("stop")


def warm_rows(directory: Path, rounds: int) -> list[Row]:
    """Measure `echo … | gptterm -n 1`: warm, cold, and Python alone."""
    options = ["-m", str(directory), "--dtype", "float32"]
    ours = [*executable("gptterm"), *options, "-n", "1", "--raw"]
    with warm_engine(options) as environment:
        runs = measure(
            {
                "gptterm": Command(ours, PROMPT, environment),
                "gptterm, cold": Command(ours, PROMPT),
                "python -c pass": Command([sys.executable, "-c", "pass"]),
            },
            rounds,
        )
    what = "warm engine, one token, float32"
    first = {name: [one.first_byte_s for one in all_] for name, all_ in runs.items()}
    del first["python -c pass"]
    peaks = {name: [one.peak_mib for one in all_] for name, all_ in runs.items()}
    return [
        Row(
            what=f"{what}: wall",
            unit="s",
            runs={name: [one.wall_s for one in all_] for name, all_ in runs.items()},
            lower_is_better=True,
            reach="≤ 0.12 s",
        ),
        Row(
            what=f"{what}: first text",
            unit="s",
            runs=first,
            lower_is_better=True,
            reach="≤ 0.1 s",
        ),
        Row(what=f"{what}: peak memory", unit="MiB", runs=peaks, lower_is_better=True),
    ]
