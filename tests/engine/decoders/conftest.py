"""The decoders compute with kernels of gptterm's own, or with torch where those were not built."""

from collections.abc import Callable

import pytest

from gptterm.engine.decoders import linear, native
from gptterm.engine.kernels import attention


@pytest.fixture
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on: a machine that had no C compiler when gptterm was installed."""

    def forget() -> None:
        for user in (linear, native, attention):
            monkeypatch.setattr(user, "library", lambda: None)

    return forget


@pytest.fixture(params=["kernels", "torch"])
def arithmetic(request: pytest.FixtureRequest, without_kernels: Callable[[], None]) -> str:
    """Each in turn; says which."""
    which = str(request.param)
    if which == "torch":
        without_kernels()
    return which
