"""Engines of their own processes in little time: forks of a process that has imported them.

Most of what an engine's process costs in a test are its imports. A fork is a process as another,
with its own socket, log, environment and session, and its exit is told as the kernel tells it.
"""

import asyncio
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, cast

from gptterm.engine.ipc.engine_process import EngineProcess
from gptterm.engine.runtime.log import open_log
from tests.support.forks import AT_START, MOST_BYTES

_IMPORTED = (
    "gptterm.engine.decoders.native",
    "gptterm.engine.generation.loader",
    "gptterm.engine.ipc.child_main",
    "tests.support.scripted",
)


# ---------------------------------------------------------------------------------- the server


def serve(number: int) -> NoReturn:
    """Fork an engine for each request over a socket, and tell each exit through its pipe."""
    for module in _IMPORTED:
        importlib.import_module(module)
    exits: dict[int, int] = {}
    """Pipes of the engines that run, by their processes."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    with socket.socket(fileno=number) as asked:
        while True:
            readable, _, _ = select.select([asked.fileno(), woken], [], [])
            if woken in readable:
                os.read(woken, 1 << 12)
                _tell_exits(exits)
            if asked.fileno() in readable:
                data, files, _, _ = socket.recv_fds(asked, MOST_BYTES, 3)
                if not data:
                    os._exit(0)
                child = os.fork()
                if child == 0:
                    for other in (asked.detach(), woken, wakes, files[2], *exits.values()):
                        os.close(other)
                    _become(data, files)
                os.close(files[0])
                os.close(files[1])
                exits[child] = files[2]
                asked.send(str(child).encode())


def _tell_exits(exits: dict[int, int]) -> None:
    while exits:
        child, status = os.waitpid(-1, os.WNOHANG)
        if not child:
            return
        pipe = exits.pop(child)
        os.write(pipe, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(pipe)


def _become(request: bytes, files: Sequence[int]) -> NoReturn:
    """Be an engine's process until the end."""
    from gptterm.engine.ipc import child_main

    factory, environment, folder = json.loads(request)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    client, log = files[0], files[1]
    for output in (1, 2):
        os.dup2(log, output)
    os.close(log)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["engine", f"--socket={client}", f"--parent={os.getppid()}", f"--factory={factory}"]
    try:
        child_main.main()
    finally:
        os._exit(99)


# ---------------------------------------------------------------------------------- its client


class _Child:
    """A forked engine, as `asyncio.subprocess.Process` is of what it has started."""

    def __init__(self, pid: int, told: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()
        self._told = told
        asyncio.get_running_loop().add_reader(told, self._read)

    def _read(self) -> None:
        asyncio.get_running_loop().remove_reader(self._told)
        self.returncode = int(os.read(self._told, 64) or b"-9")
        os.close(self._told)
        self._ended.set()

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode


class EngineForks:
    """Forks engines. It ends with this process."""

    def __init__(self) -> None:
        self._at_start = _read_at_start()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.engine_forks", str(theirs.fileno())],
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"}, pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    @property
    def fits(self) -> bool:
        """Whether an engine in this process's environment may be a fork."""
        return _read_at_start() == self._at_start

    async def spawn(self, factory: str, log: Path) -> tuple[EngineProcess, socket.socket]:
        """Start an engine's process, as `engine_process.spawn`."""
        ours, theirs = socket.socketpair()
        told, tells = os.pipe()
        log_fd = open_log(log)
        request = json.dumps([factory, dict(os.environ), os.getcwd()]).encode()
        assert len(request) < MOST_BYTES
        socket.send_fds(self._socket, [request], [theirs.fileno(), log_fd, tells])
        theirs.close()
        os.close(log_fd)
        os.close(tells)
        child = _Child(int(self._socket.recv(64)), told)
        return EngineProcess(cast("asyncio.subprocess.Process", child), log), ours


def _read_at_start() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith(AT_START)}


if __name__ == "__main__":
    serve(int(sys.argv[1]))
