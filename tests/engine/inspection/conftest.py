"""Models of every native family, and of GGUF files, beside those of transformers."""

from typing import Any

import pytest

from gptterm.engine.generation.engine import LocalEngine
from tests.engine.checkpoints import ARCHITECTURES, NATIVE, load, make, save
from tests.engine.gguf.models import load as load_gguf
from tests.engine.gguf.models import save_gguf

FILES = {"gpt2.gguf": "gpt2", "llama.gguf": "llama", "gpt-neox.gguf": "gptneox"}
"""Architectures of GGUF files."""


@pytest.fixture(scope="module", params=[*NATIVE, *FILES])
def native(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, LocalEngine]:
    """A model of transformers, and the engine over it."""
    folder = tmp_path_factory.mktemp("native")
    name = request.param
    model = make(ARCHITECTURES[name.removesuffix(".gguf")]())
    if name in FILES:
        return model, load_gguf(save_gguf(model, folder / name, FILES[name]))
    return model, load(save(model, folder))
