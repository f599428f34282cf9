"""Command line and environment of a child process that runs a module of gptterm."""

import os
import sys


def python_command(module: str, *arguments: str) -> list[str]:
    """Return the command line of `python -m module`.

    -P keeps the working directory off the module path: its files are the user's.
    """
    return [sys.executable, "-P", "-u", "-m", module, *arguments]


def python_environment() -> dict[str, str]:
    """Return an environment in which the child can import what this process can."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
