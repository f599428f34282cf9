"""The engine's process as its parent sees it: spawn, kill, exit status."""

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path

from gptterm.engine.runtime.log import open_log
from gptterm.engine.runtime.python_child import python_command, python_environment
from gptterm.errors import FailureKind


async def spawn(factory: str, log: Path) -> tuple["EngineProcess", socket.socket]:
    """Start the engine's process; return it with our end of its socket.

    It leads its own session, so that Ctrl-C and a closing terminal do not reach it. It ends with
    this process; on Linux even with the thread that called this.

    Raises:
        OSError: it cannot be started.
    """
    ours, theirs = socket.socketpair()
    log_fd = open_log(log)
    try:
        process = await asyncio.create_subprocess_exec(
            *python_command(
                "gptterm.engine.ipc.child_main",
                f"--socket={theirs.fileno()}",
                f"--parent={os.getpid()}",
                f"--factory={factory}",
            ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log_fd,
            stderr=log_fd,
            pass_fds=[theirs.fileno()],
            start_new_session=True,
            env=python_environment(),
        )
    except BaseException:
        ours.close()
        raise
    finally:
        theirs.close()
        os.close(log_fd)
    return EngineProcess(process, log), ours


class EngineProcess:
    """A child process that runs an engine."""

    stopped = "the engine was stopped"

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self._oom_kills = oom_kill_count()

    @property
    def pid(self) -> int:
        """The process id, and the process group's."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not been waited for yet."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait for its exit; return the exit code, or minus the number of the signal."""
        return await self._process.wait()

    def connection_lost(self) -> None:
        """Do nothing: the exit that follows is waited for."""

    def kill(self) -> None:
        """Kill the process and its children."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def describe_exit(self, code: int, activity: str) -> tuple[FailureKind, str]:
        """Describe its exit in one line."""
        before, now = self._oom_kills, oom_kill_count()
        ran_out = before is not None and now is not None and now > before
        return describe_exit(code, activity, self._log, memory_ran_out=ran_out)


def oom_kill_count() -> int | None:
    """Return the number of processes that Linux's OOM killer has killed since boot."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return None
    counts = (line.split() for line in lines if line.startswith("oom_kill "))
    return next((int(count) for _, count in counts), None)


def describe_exit(
    code: int, activity: str, log: Path, *, memory_ran_out: bool
) -> tuple[FailureKind, str]:
    """Describe in one line a process that exited with `code` (negative: minus the signal)."""
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
