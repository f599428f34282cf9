"""Settings of the whole suite."""

import gc
import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# No deadlines: on a busy machine an example may take long. The same examples at every run: a red
# run is the change's fault. `make test-random` looks for others.
settings.register_profile("suite", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None, max_examples=1000)
settings.load_profile("suite")

# Threads that wait for each other beside other tests take four times as long.
os.environ["OMP_NUM_THREADS"] = "1"
# Until all tests are collected: nothing of what that makes is garbage.
gc.disable()

# A shell's background jobs ignore Ctrl-C, and nohup's a hang-up: the commands under test would
# inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
for number in (signal.SIGHUP, signal.SIGQUIT):
    signal.signal(number, signal.SIG_DFL)


LONG = (
    "tui/test_write.py",
    "tui/test_each_key.py",
    "benchmarks/test_runs.py",
    "tui/test_terminal.py",
    "tui/test_words.py",
    "tui/test_snapshots.py",
    "tui/test_real.py",
    "tui/test_looks.py",
    "tui/test_history.py",
    "tui/test_chat.py",
    "engine/decoders/test_decoders.py",
    "tui/test_keys.py",
    "engine/generation/test_graph_replay.py",
    "models/test_commands.py",
    "engine/generation/test_batch.py",
    "tui/test_hand.py",
    "engine/generation/test_cuda_graph.py",
    "tui/test_prompt.py",
    "tools/test_tiny_model.py",
    "engine/decoders/test_native_families.py",
    "models/test_hub.py",
    "cli/test_history.py",
    "cli/batch/test_resume.py",
    "test_readme.py",
    "test_docs.py",
)
"""Modules of ten seconds and more, the longest first. They begin before the others: one that begins
last leaves the other processes without work."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the long modules first, in their order."""
    folder = Path(__file__).parent
    rank = {folder / name: number for number, name in enumerate(LONG)}
    assert all(path.is_file() for path in rank)
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


def pytest_collection_finish() -> None:
    """Keep what is imported out of garbage collections, and have few: torch is 0.1 s in each."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def pytest_xdist_auto_num_workers() -> int:
    """Number of workers for `-n auto`: tests of screens and processes wait half of their time.

    Four left two cores idle for a seventh of a run.
    """
    return 5 * (os.cpu_count() or 1) // 2
