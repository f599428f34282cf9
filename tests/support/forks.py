"""Runs of the real command in little time: forks of a process that has imported it.

Two thirds of what a short run costs are its imports. A fork is a process of its own, with its own
environment, folder, arguments, pipes and signals; what the interpreter's start decides comes from
the server, which a run with other such variables does not use.
"""

import array
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn

LIMIT_S = 180
"""Time-out of a run."""
MOST_BYTES = 64 << 10
"""Of a request; a packet has at most some 200 KiB."""
_LOCALE = "C.UTF-8"
"""Of a server: arguments are decoded before it gets them."""
_MOST_SERVERS = 2
AT_START = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "OMP_", "OPENBLAS_", "MKL_")
"""Prefixes of variables that are read while the interpreter or a library starts."""


class Done(NamedTuple):
    """A run that has ended."""

    code: int
    stdout: bytes
    stderr: bytes


# ---------------------------------------------------------------------------------- the server


def serve(number: int) -> NoReturn:
    """Run each command that is asked for over a socket, one after the other."""
    _import()
    with socket.socket(fileno=number) as asked:
        while True:
            data, files, _, _ = socket.recv_fds(asked, MOST_BYTES, 3)
            if not data:
                os._exit(0)
            arguments, environment, folder = json.loads(data)
            child = os.fork()
            if child == 0:
                asked.close()
                _become(arguments, environment, folder, files)
            for file in files:
                os.close(file)
            asked.send(str(child).encode())
            _, status = os.waitpid(child, 0)
            asked.send(str(os.waitstatus_to_exitcode(status)).encode())


def _import() -> None:
    """Import what runs import."""
    import gptterm.cli.batch.start
    import gptterm.cli.config
    import gptterm.cli.dispatch
    import gptterm.cli.doctor
    import gptterm.cli.engine
    import gptterm.cli.history
    import gptterm.cli.inspect
    import gptterm.cli.models
    import gptterm.cli.oneshot
    import gptterm.cli.run
    import gptterm.cli.score
    import gptterm.engine.decoders.native
    import gptterm.engine.generation.loader
    import gptterm.engine.inspection.requests
    import gptterm.engine.prompt.chat_template
    import gptterm.store
    import gptterm.store.imports  # noqa: F401


def _become(
    arguments: Sequence[str], environment: Mapping[str, str], folder: str, files: Sequence[int]
) -> NoReturn:
    """Be a run of the command until the end of this process."""
    from gptterm.__main__ import main

    signal.alarm(LIMIT_S)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[0] = folder
    sys.argv = ["gptterm", *arguments]
    sys.orig_argv = [sys.executable, "-m", "gptterm", *arguments]
    try:
        main()
    finally:
        os._exit(99)


# ---------------------------------------------------------------------------------- its client


class _ForkServer:
    """A process that forks a run of the command for each request."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._lock = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forks", str(theirs.fileno())],
                env={**environment, "OPENBLAS_NUM_THREADS": "1"}, pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def run(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        stdin: bytes,
        folder: str,
    ) -> Done | None:
        """Run the command to its end; None if this server cannot, or is busy."""
        request = json.dumps([arguments, dict(environment), folder]).encode()
        if len(request) > MOST_BYTES or not self._lock.acquire(blocking=False):
            return None
        try:
            return self._run(request, stdin)
        finally:
            self._lock.release()

    def _run(self, request: bytes, stdin: bytes) -> Done:
        pipes = [os.pipe() for _ in range(3)]
        (given, write), (read_out, out), (read_err, err) = pipes
        socket.send_fds(self._socket, [request], [given, out, err])
        for file in (given, out, err):
            os.close(file)
        assert int(self._socket.recv(64))
        stdout, stderr = _communicate(write, stdin, read_out, read_err)
        return Done(int(self._socket.recv(64)), stdout, stderr)


def _communicate(write: int, stdin: bytes, *reads: int) -> list[bytes]:
    """Write to a pipe and read from others until they end."""
    found = {read: array.array("B") for read in reads}
    left = memoryview(stdin)
    os.set_blocking(write, False)
    writing = [write] if stdin else []
    if not stdin:
        os.close(write)
    waiting = list(reads)
    while waiting or writing:
        readable, writable, _ = select.select(waiting, writing, [])
        for read in readable:
            if part := os.read(read, 1 << 16):
                found[read].frombytes(part)
            else:
                os.close(read)
                waiting.remove(read)
        if writable:
            count = len(left)
            with contextlib.suppress(BrokenPipeError):
                count = os.write(write, left[: 1 << 16])
            left = left[count:]
        if writing and (not left or not waiting):
            os.close(write)
            writing = []
    return [found[read].tobytes() for read in reads]


_servers: dict[frozenset[tuple[str, str]], _ForkServer] = {}
"""By the variables that they have started with. They end with this process."""


def run_forked(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    stdin: bytes = b"",
    folder: str | None = None,
) -> Done | None:
    """Run the command to its end; None where that takes a process of its own from the start.

    Args:
        folder: its working directory; None for this process's.
    """
    if environment.get("LC_ALL", _LOCALE) != _LOCALE or "PYTHONUTF8" in environment:
        return None
    key = frozenset(pair for pair in environment.items() if pair[0].startswith(AT_START))
    if key not in _servers:
        if len(_servers) == _MOST_SERVERS:
            return None
        _servers[key] = _ForkServer(environment)
    return _servers[key].run(arguments, environment, stdin, folder or os.getcwd())


if __name__ == "__main__":
    serve(int(sys.argv[1]))
