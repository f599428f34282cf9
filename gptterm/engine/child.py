"""Starts the engine's process, keeps its log, and tells what it died of."""

import asyncio
import os
import signal
import socket
import stat
import sys
from pathlib import Path

import platformdirs

from gptterm.engine.api import FailureKind

LOG_LIMIT = 1 << 20
"""Bytes; a longer log is begun anew at the next start."""


def default_log() -> Path:
    """`engine.log` in the user's state folder, or in GPTTERM_HOME."""
    home = os.environ.get("GPTTERM_HOME")
    if home:
        return Path(os.path.abspath(os.path.expanduser(home))) / "engine.log"
    return platformdirs.user_state_path("gptterm", appauthor=False) / "engine.log"


def open_log(path: Path) -> int:
    """Open the log for appending, for this user only, and return its descriptor.

    A log that cannot be written is no reason not to chat: the null device then.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        status = os.fstat(log)
        if stat.S_ISREG(status.st_mode):
            os.fchmod(log, 0o600)
            if status.st_size > LOG_LIMIT:
                os.ftruncate(log, 0)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)
    return log


async def spawn(factory: str, log: Path) -> tuple[asyncio.subprocess.Process, socket.socket]:
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
            "gptterm.engine.host",
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
    return process, ours


def oom_kills() -> int | None:
    """How many processes the kernel has killed for want of memory since it booted (Linux)."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return None
    counts = (line.split() for line in lines if line.startswith("oom_kill "))
    return next((int(count) for _, count in counts), None)


def explain_death(
    code: int, doing: str, log: Path, *, memory_ran_out: bool
) -> tuple[FailureKind, str]:
    """One line about a process that ended with `code` (negative: minus the signal's number)."""
    if code == -signal.SIGKILL and memory_ran_out:
        return "out_of_memory", (
            f"the system ran out of memory and killed the engine (SIGKILL) {doing}: "
            "try a smaller model or a smaller --dtype"
        )
    how = f"was killed by {_signal_name(-code)}" if code < 0 else f"ended with exit code {code}"
    return "internal", f"the engine {how} {doing}; its log is {log}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
