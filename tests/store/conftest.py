"""A history in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gptterm.store import History


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where it lies; the folder is not there yet."""
    return tmp_path / "data" / "history.db"


@pytest.fixture
def notices() -> list[str]:
    """What the user is told."""
    return []


@pytest.fixture
def history(path: Path, notices: list[str]) -> Iterator[History]:
    """An open history."""
    with History.open(path, notices.append) as opened:
        yield opened
