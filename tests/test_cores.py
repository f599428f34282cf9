"""The number of threads."""

import os

import pytest

from gptterm.cores import thread_count, usable_cores


@pytest.mark.parametrize(("value", "count"), [("1", 1), ("7", 7), (" 3 ", 3), ("4,2", 4)])
def test_the_environment_decides(value: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert thread_count() == count


@pytest.mark.parametrize("value", [None, "", "0", "-2", "many", "1e3", "²", "9" * 30])
def test_else_the_cores_do(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if value is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert thread_count() == usable_cores()
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
