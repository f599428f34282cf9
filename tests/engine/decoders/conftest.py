"""The decoders compute with kernels of gptterm's own, or with torch where those were not built."""

from collections.abc import Callable

import pytest


@pytest.fixture(params=["kernels", "torch"])
def arithmetic(request: pytest.FixtureRequest, without_kernels: Callable[[], None]) -> str:
    """Each in turn; says which."""
    which = str(request.param)
    if which == "torch":
        without_kernels()
    return which
