"""A place for warm engines that nobody else uses."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import private_runtime_directory


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """The folder of the engines; GPTTERM_HOME is `home` beside it."""
    with private_runtime_directory(monkeypatch, tmp_path / "home") as path:
        yield path
