"""Native models on a CPU, in processes that cannot import torch or transformers."""

import subprocess
import sys
from pathlib import Path

import pytest

from gptterm.engine.api import Finished, LoadRequest, ModelSource, Token
from gptterm.engine.ipc import LOCAL_ENGINE
from gptterm.engine.ipc.client import EngineClient
from gptterm.engine.kernels.library import library
from gptterm.engine.runtime.device import select_device
from tests.cli.command import environment
from tests.engine.checkpoints import ARCHITECTURES, make, save
from tests.support.daemon import opened, private_runtime_directory
from tests.support.gpt2 import write_gpt2
from tests.support.ipc_engines import collect, request

pytestmark = [
    pytest.mark.skipif(library() is None, reason="no kernels: torch computes"),
    pytest.mark.skipif(select_device("auto") != "cpu", reason="a GPU"),
]


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """Folder of packages that cannot be imported."""
    folder = tmp_path / "blocked"
    for package in ("torch", "transformers", "accelerate", "safetensors"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text("raise ImportError('must not be imported')")
    return folder


def pipe(blocked: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "gptterm", "-n", "3", "--verbose", *arguments],
        env=environment(home, PYTHONPATH=str(blocked)), input="once upon a time",
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("architecture", "dtype"),
    [("gpt1", "bfloat16"), ("gpt2", "int8"), ("gpt2", "float16"), ("gpt-neo", "auto")],
)
def test_a_pipe(architecture: str, dtype: str, blocked: Path, tmp_path: Path) -> None:
    directory = save(make(ARCHITECTURES[architecture]()), tmp_path / "model")
    for _ in range(2 if dtype == "int8" else 1):  # converts, then finds the conversion
        done = pipe(blocked, tmp_path / "home", "-m", str(directory), "--dtype", dtype)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip()


def test_a_pipe_with_the_bundled_model(blocked: Path, tmp_path: Path) -> None:
    done = pipe(blocked, tmp_path / "home", "-m", "tiny", "-N", "2", "--json", "--logprobs", "3")
    assert done.returncode == 0, done.stderr
    assert '"text"' in done.stdout


def test_the_block_holds(blocked: Path, tmp_path: Path) -> None:
    directory = save(make(ARCHITECTURES["llama"]()), tmp_path / "model")
    done = pipe(blocked, tmp_path / "home", "-m", str(directory))
    assert done.returncode != 0
    assert "must not be imported" in done.stderr


async def test_an_engine_in_its_own_process(
    blocked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = LoadRequest(source=ModelSource(name="x", directory=str(write_gpt2(tmp_path / "x"))))
    monkeypatch.syspath_prepend(blocked)  # the engine's process imports as this one does
    async with EngineClient(log=tmp_path / "engine.log") as client:
        await client.load(model)
        events = await collect(client, request("a king", max_tokens=3))
        assert isinstance(events[-1], Finished)
        assert await client.tokenize("a king")


def test_a_warm_engine(blocked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LoadRequest(source=ModelSource(name="x", directory=str(write_gpt2(tmp_path / "x"))))
    monkeypatch.syspath_prepend(blocked)
    with private_runtime_directory(monkeypatch, tmp_path / "home"):
        engine = opened(model, factory=LOCAL_ENGINE)
        events = list(engine.generate(request("a king", max_tokens=3)))
        assert any(isinstance(event, Token) for event in events)
        engine.close()
