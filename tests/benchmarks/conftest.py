"""A model of GPT-2's shape that is small enough to be measured in a moment, by one thread."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import shapes

SMALL = shapes.GPT2_SMALL | {
    "vocab_size": 1000,
    "n_embd": 64,
    "n_layer": 2,
    "n_head": 2,
    "eos_token_id": 999,
    "bos_token_id": 999,
}


@pytest.fixture(scope="package", autouse=True)
def gradients_again() -> Iterator[None]:
    """Benchmarks turn gradients off for their whole process, in which later tests may train."""
    yield
    torch.set_grad_enabled(True)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shapes.make(tmp_path_factory.mktemp("model") / "small", SMALL)
