"""Starts the engine's process, and tells what it died of."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

from gptterm.engine.runtime.log import open_log
from gptterm.errors import FailureKind


async def spawn(factory: str, log: Path) -> tuple["EngineProcess", socket.socket]:
    """Start the process and return it with our end of its socket.

    It leads a session of its own, so that Ctrl-C and a closing terminal do not reach it. It ends
    with this process, on Linux already with the thread that called this.

    Raises:
        OSError: it cannot be started.
    """
    ours, theirs = socket.socketpair()
    log_fd = open_log(log)
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # The working directory's files are the user's, not modules of ours.
            "-u",
            "-m",
            "gptterm.engine.ipc.child_main",
            f"--socket={theirs.fileno()}",
            f"--parent={os.getpid()}",
            f"--factory={factory}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log_fd,
            stderr=log_fd,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            # What this process can import, that one can.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(log_fd)
    return EngineProcess(process, log), ours


class EngineProcess:
    """A process of our own."""

    stopped = "the engine was stopped"
    """What is said of it when it was our activity."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self._oom_kills = oom_kill_count()

    @property
    def pid(self) -> int:
        """The process's id, and its group's."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not been waited for yet."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait for its end; the exit code, or minus the number of the signal."""
        return await self._process.wait()

    def connection_lost(self) -> None:
        """Its socket has closed: it is gone, or about to be."""

    def kill(self) -> None:
        """Kill it and whatever it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def describe_exit(self, code: int, activity: str) -> tuple[FailureKind, str]:
        """One line about its end."""
        before, now = self._oom_kills, oom_kill_count()
        ran_out = before is not None and now is not None and now > before
        return describe_exit(code, activity, self._log, memory_ran_out=ran_out)


def oom_kill_count() -> int | None:
    """How many processes the kernel has killed for want of memory since it booted (Linux)."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return None
    counts = (line.split() for line in lines if line.startswith("oom_kill "))
    return next((int(count) for _, count in counts), None)


def describe_exit(
    code: int, activity: str, log: Path, *, memory_ran_out: bool
) -> tuple[FailureKind, str]:
    """One line about a process that ended with `code` (negative: minus the signal's number)."""
    if code == -signal.SIGKILL and memory_ran_out:
        return "out_of_memory", (
            f"the system ran out of memory and killed the engine (SIGKILL) {activity}: "
            "try a smaller model or a smaller --dtype"
        )
    how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
    return "internal", f"the engine {how} {activity}; its log is {log}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
