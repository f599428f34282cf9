"""Many runs of the real command in little time: forks of a process that has imported it.

`python -m tests.cli.forks` reads a JSON list `[arguments, stdin as Latin-1]` a line, and writes
`[exit code, stdout, stderr]`, cut to LONGEST.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

LIMIT_S = 60
LONGEST = 4000


def main() -> None:
    """Answer each line of stdin."""
    # What a run imports, once.
    import gptterm.cli.config
    import gptterm.cli.dispatch
    import gptterm.cli.doctor
    import gptterm.cli.engine
    import gptterm.cli.history
    import gptterm.cli.models
    import gptterm.cli.run
    import gptterm.store
    import gptterm.store.imports  # noqa: F401

    for line in sys.stdin:
        arguments, stdin = json.loads(line)
        print(json.dumps(_run(arguments, stdin.encode("latin-1"))), flush=True)  # noqa: T201


def _run(arguments: Sequence[str], stdin: bytes) -> tuple[int, str, str]:
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        given.write(stdin)
        given.seek(0)
        child = os.fork()
        if child == 0:
            _become(arguments, given, out, err)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status), _read(out), _read(err)


def _become(arguments: Sequence[str], given: IO[bytes], out: IO[bytes], err: IO[bytes]) -> None:
    """Be a run of the command until the end of this process."""
    import signal

    from gptterm.__main__ import main

    signal.alarm(LIMIT_S)
    for number, file in enumerate((given, out, err)):
        os.dup2(file.fileno(), number)
    sys.argv = ["gptterm", *arguments]
    try:
        main()
    finally:
        os._exit(99)


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(LONGEST).decode("utf-8", "replace")


def answers(
    process: "subprocess.Popen[str]", cases: Sequence[tuple[list[str], bytes]]
) -> Iterator[tuple[int, str, str]]:
    """Run the cases one after the other in such a process."""
    assert process.stdin is not None
    assert process.stdout is not None
    for arguments, stdin in cases:
        process.stdin.write(json.dumps([arguments, stdin.decode("latin-1")]) + "\n")
        process.stdin.flush()
        code, out, err = json.loads(process.stdout.readline())
        yield code, out, err


if __name__ == "__main__":
    main()
else:
    import subprocess
