"""Fixtures: a history in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gptterm.store import History


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Path of the history, in a folder that does not exist yet."""
    return tmp_path / "data" / "history.db"


@pytest.fixture
def notices() -> list[str]:
    """The notices for the user."""
    return []


@pytest.fixture
def history(path: Path, notices: list[str]) -> Iterator[History]:
    """An open history."""
    with History.open(path, notices.append) as opened:
        yield opened
