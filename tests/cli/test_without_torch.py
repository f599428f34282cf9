"""Native models on a CPU, by commands that cannot import torch or transformers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gptterm.engine.kernels.compiled import library
from gptterm.engine.runtime.device import select_device
from tests.cli.command import Result, environment, run
from tests.engine.checkpoints import ARCHITECTURES, make, save
from tests.support.gpt2 import write_gpt2

Pipe = Callable[..., Result]

pytestmark = [
    pytest.mark.skipif(library() is None, reason="no kernels: torch computes"),
    pytest.mark.skipif(select_device("auto") != "cpu", reason="a GPU"),
]


@pytest.fixture
def pipe(tmp_path: Path) -> Pipe:
    """Runs a command in whose Python these packages fail to import."""
    for package in ("torch", "transformers", "accelerate", "safetensors"):
        (tmp_path / "blocked" / package).mkdir(parents=True)
        module = tmp_path / "blocked" / package / "__init__.py"
        module.write_text("raise ImportError('must not be imported')")
    env = environment(tmp_path / "home", PYTHONPATH=str(tmp_path / "blocked"))
    return lambda *arguments: run(["-n", "3", *arguments], env, stdin=b"once upon a time")


def test_the_bundled_model(pipe: Pipe) -> None:
    done = pipe("-m", "tiny", "-N", "2", "--json", "--logprobs", "3")
    assert done.code == 0, done.stderr
    assert '"text"' in done.text


def test_a_conversion_made_and_found(pipe: Pipe, tmp_path: Path) -> None:
    directory = write_gpt2(tmp_path / "model")
    for _ in range(2):
        done = pipe("-m", directory, "--dtype", "int8")
        assert done.code == 0, done.stderr
        assert done.text.strip()


def test_a_llama(pipe: Pipe, tmp_path: Path) -> None:
    done = pipe("-m", save(make(ARCHITECTURES["llama"]()), tmp_path / "model"))
    assert done.code == 0, done.stderr


def test_the_block_holds(pipe: Pipe, tmp_path: Path) -> None:
    done = pipe("-m", save(make(ARCHITECTURES["olmo"]()), tmp_path / "model"))
    assert done.code != 0
    assert "must not be imported" in done.stderr
