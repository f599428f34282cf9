"""Run a reader of foreign data over many inputs."""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")
CPU_S = 5.0
"""Seconds of one input, a hundred times what any takes: more is no longer linear."""
SECONDS = float(os.environ.get("FUZZ_SECONDS", "60"))
SEED = os.environ.get("FUZZ_SEED", "1")

Target = Callable[[bytes, Path], None]


def kept(name: str) -> list[bytes]:
    """The inputs of a target in the corpus."""
    folder = CORPUS / name
    return [file.read_bytes() for file in sorted(folder.iterdir())] if folder.is_dir() else []


def check(name: str, target: Target, data: bytes, folder: Path) -> None:
    """Run a target over an input: no exception, and no more time than any input takes."""
    begun = time.thread_time()
    try:
        target(data, folder)
    except Exception as error:
        error.add_note(f"keep it in corpus/{name}: {data!r}")
        raise
    assert time.thread_time() - begun < CPU_S, data


def dice_of(name: str, seed: str = SEED) -> random.Random:
    """The dice of a target."""
    return random.Random(f"{seed} {name}")
