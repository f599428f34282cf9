"""A native model on a CPU loads and generates without torch and transformers, in any process."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from gptterm.engine.api import (
    Dtype,
    Event,
    Failed,
    GenerateRequest,
    LoadRequest,
    ModelSource,
    TextPrompt,
)
from gptterm.engine.daemon.sync_client import open_engine
from gptterm.engine.ipc.client import EngineClient
from gptterm.engine.runtime.python_child import python_environment
from gptterm.models.resolver import bundled
from tests.engine.checkpoints import ARCHITECTURES, NATIVE, make, save, spread
from tests.engine.gguf.test_loading import small_llama
from tests.support.daemon import private_runtime_directory
from tests.support.ipc_engines import collect

SITECUSTOMIZE = """\
import os, sys
class Recorder:
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "transformers", "accelerate", "safetensors"):
            record(name)
def record(line):
    with open(os.environ["IMPORTS_REPORT"], "a") as report:
        print(line, file=report)
sys.meta_path.insert(0, Recorder())
record("started")
"""
REQUEST = GenerateRequest(
    prompt=TextPrompt(text="a king"), max_tokens=3, samples=2, logprobs=2, ignore_eos=True
)


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lists what new interpreters import of these packages, after a line of each interpreter."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SITECUSTOMIZE)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("IMPORTS_REPORT", str(tmp_path / "report"))
    return tmp_path / "report"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One of each native architecture, and the bundled one."""
    folder = tmp_path_factory.mktemp("models")
    saved = {name: save(make(ARCHITECTURES[name]()), folder / name) for name in NATIVE}
    return saved | {"tiny": Path(bundled().directory)}


def load_request(model: Path, dtype: Dtype = "auto") -> LoadRequest:
    return LoadRequest(source=ModelSource(name=model.name, directory=str(model)), dtype=dtype)


def gguf(folder: Path) -> LoadRequest:
    file = small_llama(folder / "m.gguf")
    source = ModelSource(name="m", directory=str(folder), gguf_file=file.name)
    return LoadRequest(source=source)


def check(events: list[Event]) -> None:
    assert not any(isinstance(event, Failed) for event in events)
    assert len(events) == 10


LOAD_EACH = """\
import sys, msgspec
from gptterm.engine.api import GenerateRequest, LoadRequest
from gptterm.engine.generation.loader import load_engine
asked = msgspec.json.decode(sys.argv[1], type=GenerateRequest)
for request in msgspec.json.decode(sys.argv[2], type=list[LoadRequest]):
    engine = load_engine(request)
    assert engine.info.decoder == "native"
    assert len([*engine.generate(asked)]) == 10
    assert engine.next_token(asked.sampling) is not None
    engine.close()
"""


def test_every_architecture_and_dtype(
    models: dict[str, Path], report: Path, tmp_path: Path
) -> None:
    chosen = spread(["auto", "float32", "bfloat16", "float16", "int8"])
    every = [load_request(models[name], dtype) for name, dtype in chosen]
    # int8 from what the first loading kept, too.
    every += [load_request(models["gpt2"], "int8"), load_request(models["tiny"]), gguf(tmp_path)]
    arguments = (msgspec.json.encode(REQUEST).decode(), msgspec.json.encode(every).decode())
    subprocess.run(
        [sys.executable, "-c", LOAD_EACH, *arguments],
        env=python_environment(),
        check=True,
    )
    assert report.read_text().splitlines() == ["started"]


async def test_the_engine_process(models: dict[str, Path], report: Path, tmp_path: Path) -> None:
    async with EngineClient(log=tmp_path / "engine.log") as client:
        for model in models.values():
            await client.load(load_request(model))
            check(await collect(client, REQUEST))
    assert report.read_text().splitlines() == ["started"]


def test_a_warm_engine(
    models: dict[str, Path], report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with private_runtime_directory(monkeypatch, tmp_path / "home"):
        engine = open_engine(load_request(models["gpt2"]), keep_alive_s=60)
        assert engine is not None
        check([*engine.generate(REQUEST)])
        engine.close()
    assert report.read_text().splitlines() == ["started"]
