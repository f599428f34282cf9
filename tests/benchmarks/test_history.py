"""The benchmark of the history runs, on a small one."""

import subprocess
import sys
from pathlib import Path


def test_a_small_history(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.history", "--turns", "200", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--folder", str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "200 turns" in done.stdout
    for what in ("opening", "a phrase", "Chinese", "signs only", "on the disk", "1,000 tokens"):
        assert what in done.stdout
