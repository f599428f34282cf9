"""Fixtures: a Hub on the loopback with a GPT-2, and Python processes that ask for it."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support import checkpoint
from tests.support.forks import run_forked
from tests.support.hub import Hub, Repository, serving

GPTTERM = ("-m", "gptterm")

# The user who runs the tests has settings, tokens, proxies and a cache, which must not matter.
_FOREIGN = ("HF_", "HUGGING", "TRANSFORMERS_", "GPTTERM_", "HTTP", "ALL_PROXY", "NO_PROXY")

# huggingface_hub reads the environment on import, so each expression runs in a process of its own.
# An audit hook reports every socket, whichever library opens it.
_SCRIPT = """
import json, sys
events = set()
sys.addaudithook(lambda event, args: events.add(event) if event.startswith("socket.") else None)
from dataclasses import asdict, is_dataclass
import gptterm.models as models
from gptterm.errors import ModelError
value = error = None
try:
    value = {expression}
except ModelError as failure:
    error = str(failure)
import msgspec
print(json.dumps(dict(
    value=msgspec.to_builtins(value), error=error, sockets=sorted(events), modules=list(sys.modules)
)))
"""


class Answer(NamedTuple):
    """Result of an expression in a process of its own."""

    value: Any
    error: str | None
    """The message of the `ModelError` it raised."""
    sockets: list[str]
    """Audit events of sockets."""
    modules: list[str]
    """All imported modules."""
    stderr: str


class Machine:
    """A home, a cache and an environment for gptterm."""

    def __init__(self, home: Path, endpoint: str) -> None:
        self.home = home
        self.cache = home / "hf" / "hub"
        kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(_FOREIGN)}
        self.environment = {
            **kept,
            "HOME": str(home),
            "HF_HOME": str(home / "hf"),
            "HF_ENDPOINT": endpoint,
        }

    def run(
        self, *command: str, prefix: tuple[str, ...] = (), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a Python command line in the home."""
        if command[:2] == GPTTERM and not prefix:
            full = self.environment | environment
            done = run_forked(command[2:], full, folder=str(self.home))
            if done is not None:
                return subprocess.CompletedProcess(
                    command, done.code, done.stdout.decode(), done.stderr.decode()
                )
        return subprocess.run(
            [*prefix, sys.executable, *command],
            env=self.environment | environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def ask(self, expression: str, *, prefix: tuple[str, ...] = (), **environment: str) -> Answer:
        """Evaluate an expression in which `models` is `gptterm.models`."""
        script = _SCRIPT.replace("{expression}", expression)
        done = self.run("-c", script, prefix=prefix, **environment)
        assert done.returncode == 0, done.stderr
        return Answer(**json.loads(done.stdout), stderr=done.stderr)

    def snapshot(self, repo_id: str) -> Path:
        """The directory of the only revision in the cache."""
        folder = self.cache / f"models--{repo_id.replace('/', '--')}" / "snapshots"
        (only,) = folder.iterdir()
        return only


@functools.cache
def _checkpoint() -> dict[str, bytes]:
    return checkpoint.checkpoint()


@pytest.fixture
def files() -> dict[str, bytes]:
    """The files of a small GPT-2."""
    return dict(_checkpoint())


@pytest.fixture
def hub(files: dict[str, bytes]) -> Iterator[Hub]:
    """A Hub that has `gpt2`, with the other things its repository holds."""
    ballast = {
        "README.md": b"# GPT-2",
        "pytorch_model.bin": b"pickle",
        "tf_model.h5": b"hdf5",
        "onnx/decoder_model.onnx": b"onnx",
        "modeling_gpt2.py": b"raise SystemExit",
    }
    with serving() as served:
        served.repositories["openai-community/gpt2"] = Repository(files | ballast)
        yield served


@pytest.fixture
def machine(tmp_path: Path, hub: Hub) -> Machine:
    """A machine that reaches the Hub and has nothing in its cache."""
    return Machine(tmp_path, hub.endpoint)


@pytest.fixture
def directory(tmp_path: Path, files: dict[str, bytes]) -> Path:
    """A whole model in a directory."""
    folder = tmp_path / "model"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder
