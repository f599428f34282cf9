"""The decoders compute with kernels of gptterm's own, or with torch where those were not built."""

from collections.abc import Callable

import pytest

from tests.engine.decoders.backends import KERNELS, TORCH, Backend


@pytest.fixture(params=[KERNELS, TORCH], ids=lambda backend: str(backend.name))
def backend(request: pytest.FixtureRequest, without_kernels: Callable[[], None]) -> Backend:
    """Each in turn; decoders that are loaded use it."""
    each: Backend = request.param
    if each is TORCH:
        without_kernels()
    return each
