"""One thread for all of the engine's tests: their models are tiny, and they run side by side."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # an engine that is loaded minds it
        torch.set_num_threads(1)
        yield
