"""Run the real command in pipes and in pseudo-terminals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pexpect

from tests.support.forks import run_forked

COMMAND = [sys.executable, "-m", "gptterm"]
PATIENCE = 180.0
"""Time-out of a test, ten times what anything is expected to take."""


class Result(NamedTuple):
    """Result of a run."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout.decode()


def environment(home: Path, **more: str) -> dict[str, str]:
    """An environment without the settings of the user and the machine."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("GPTTERM_", "HF_", "TRANSFORMERS_", "LC_", "LANG"))
    }
    return {
        **kept,
        "LC_ALL": "C.UTF-8",
        "GPTTERM_HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_HUB_OFFLINE": "1",
        "TERM": "xterm-256color",
        **more,
    }


def start(
    arguments: Sequence[object],
    env: Mapping[str, str],
    *,
    stdin: int | None = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    """Start gptterm."""
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        env=dict(env), stdin=stdin, stdout=stdout, stderr=subprocess.PIPE,
    )  # fmt: skip


def run(arguments: Sequence[object], env: Mapping[str, str], stdin: bytes | None = None) -> Result:
    """Run gptterm to its end; `stdin` None is an empty one."""
    done = run_forked([str(word) for word in arguments], env, stdin or b"")
    if done is not None:
        return Result(done.code, done.stdout, done.stderr.decode("utf-8", "replace"))
    with start(arguments, env, stdin=subprocess.PIPE) as process:
        return finish(process, stdin or b"")


def finish(process: subprocess.Popen[bytes], stdin: bytes | None = None) -> Result:
    """Write to a process, read its output, wait for its end."""
    stdout, stderr = process.communicate(stdin, timeout=PATIENCE)
    return Result(process.returncode, stdout or b"", stderr.decode("utf-8", "replace"))


def run_measured(
    arguments: Sequence[object], env: Mapping[str, str], stdin: bytes
) -> tuple[Result, int]:
    """Run gptterm to its end; return its peak memory in bytes too."""
    # A process in between: the peak is known only for all children of a process together.
    script = (
        "import resource, subprocess, sys\n"
        "code = subprocess.call(sys.argv[1:])\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)\n"
        "sys.exit(code)"
    )
    command = [sys.executable, "-c", script, *COMMAND, *map(str, arguments)]
    done = subprocess.run(
        command, env=dict(env), input=stdin, capture_output=True, timeout=PATIENCE, check=False
    )
    *lines, peak = done.stderr.decode().splitlines(keepends=True)
    return Result(done.returncode, done.stdout, "".join(lines)), 1024 * int(peak)


def spawn(arguments: Sequence[object], env: Mapping[str, str]) -> "pexpect.spawn[str]":
    """Start gptterm in a pseudo-terminal of 100 × 30."""
    return pexpect.spawn(
        COMMAND[0], [*COMMAND[1:], *map(str, arguments)],
        env=dict(env), encoding="utf-8", timeout=PATIENCE, dimensions=(30, 100),
    )  # fmt: skip


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition by polling."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def handles_signals(pid: int) -> bool:
    """Whether the process has put its own handler in place for SIGTERM (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
    return False


def is_loading(pid: int) -> bool:
    """Whether the kernels are mapped, as they are before the weights are read (Linux)."""
    return "/_kernels." in Path(f"/proc/{pid}/maps").read_text()
