"""Every test here runs with the kernels of every kind of CPU that this one can be."""

from collections.abc import Iterator

import pytest

from gptterm.engine.kernels.compiled import library


def ranks() -> list[int]:
    opened = library()
    return [] if opened is None else [i for i in range(5) if opened.kernels_name(i) is not None]


@pytest.fixture(params=ranks(), autouse=True)
def rank(request: pytest.FixtureRequest) -> Iterator[int]:
    opened = library()
    assert opened is not None
    opened.kernels_select(request.param)
    yield request.param
    opened.kernels_select(ranks()[0])
