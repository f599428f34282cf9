"""Contenders in processes of their own.

In one process they slow each other down, since the waiting threads of each library spin on the same
cores (GPT-2 124M, float32, 2 cores: 50 tok/s alone, 35 beside CTranslate2 and llama.cpp).
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.engines import Contender

    Make = Callable[[Path, Any], Contender]
    """(model directory, dtype) → contender; a module's function, which the process imports."""

PRELOADED = ["benchmarks.engines", "transformers.models.gpt2.modeling_gpt2"]
"""Modules that each process has from its start: one server imports them and forks the processes.

Importing starts no threads, and each process configures its own.
"""


@cache
def in_subprocess(make: Make, directory: Path, dtype: str) -> Contender:
    """Make a contender in a new process, which ends with this one.

    Raises:
        RuntimeError: it cannot be made; a run that fails raises it, too.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    here, there = context.Pipe()
    context.Process(target=_serve, args=(there, make, directory, dtype), daemon=True).start()
    there.close()
    _answer(here)

    def run(*asked: Any) -> float:
        here.send(asked)
        return _answer(here)

    return run


def _answer(connection: Connection) -> float:
    try:
        answer = connection.recv()
    except EOFError:
        raise RuntimeError("its process died") from None
    if isinstance(answer, str):
        raise RuntimeError(answer)
    return float(answer)


def _serve(connection: Connection, make: Make, directory: Path, dtype: str) -> None:
    import torch

    from gptterm.engine.runtime.device import configure_threads

    os.dup2(2, 1)  # standard output is for rows, and peers print as they like
    configure_threads()
    torch.set_grad_enabled(False)
    try:
        contender = make(directory, dtype)
        connection.send(0.0)
    except Exception as error:
        connection.send(f"{type(error).__name__}: {error}")
        return
    while True:
        try:
            asked = connection.recv()
        except EOFError:
            return
        try:
            connection.send(contender(*asked))
        except Exception as error:
            connection.send(f"{type(error).__name__}: {error}")
