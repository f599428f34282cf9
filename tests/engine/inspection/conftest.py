"""Models of every native family, beside those of transformers."""

from typing import Any

import pytest

from gptterm.engine.generation.engine import LocalEngine
from tests.engine.checkpoints import ARCHITECTURES, NATIVE, load, make, save


@pytest.fixture(scope="module", params=NATIVE)
def native(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, LocalEngine]:
    """A model of transformers, and the engine over it."""
    model = make(ARCHITECTURES[request.param]())
    engine = load(save(model, tmp_path_factory.mktemp("native")))
    return model, engine
