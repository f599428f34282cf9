"""Fixtures of the engine's tests. One thread: their models are tiny, and they run side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gptterm.engine.generation.engine import LocalEngine

# The transformers library is imported only by the fixtures that need it: it takes seconds.


@pytest.fixture(scope="package", autouse=True)
def home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For conversions, which are otherwise kept among the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPTTERM_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(scope="module")
def model() -> Any:
    """A GPT-2 as the transformers library has it."""
    from tests.engine.checkpoints import gpt2, make

    return make(gpt2())


@pytest.fixture(scope="module")
def saved(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory it was saved to."""
    from tests.engine.checkpoints import save

    return save(model, tmp_path_factory.mktemp("engine") / "gpt2")


@pytest.fixture
def engine(saved: Path) -> LocalEngine:
    """A fresh engine over it."""
    from tests.engine.checkpoints import load

    return load(saved)


@pytest.fixture(params=["gpt2", "gpt1-relu", "cohere2", "mamba"])
def any_engine(request: pytest.FixtureRequest, tmp_path: Path) -> LocalEngine:
    """A fresh engine of each kind of cache: native, none, a sliding window, recurrent."""
    from tests.engine.checkpoints import ARCHITECTURES, load, make, save

    return load(save(make(ARCHITECTURES[request.param]()), tmp_path))


@pytest.fixture
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on: a machine that had no C compiler when gptterm was installed."""
    from gptterm.engine.decoders import native

    return lambda: monkeypatch.setattr(native, "library", lambda: None)
