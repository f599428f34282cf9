"""The engine's process as its parent sees it: spawn, kill, exit status."""

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path

from gptterm.engine.ipc.exits import ExitWitness
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
        self._witness = ExitWitness(log)

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
        return self._witness.describe_child(code, activity)
