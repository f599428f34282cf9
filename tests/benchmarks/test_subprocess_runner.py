"""Contenders in processes of their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.subprocess_runner import in_subprocess

if TYPE_CHECKING:
    from benchmarks.engines import Contender


def process_id(_directory: Path, _dtype: str) -> Contender:
    return lambda _prompt, _samples, _tokens: float(os.getpid())


def out_of_order(_directory: Path, _dtype: str) -> Contender:
    def run(_prompt: object, samples: int, _tokens: object) -> float:
        if samples > 1:
            os._exit(1)
        raise ValueError("out of order")

    return run


def missing(_directory: Path, _dtype: str) -> Contender:
    raise ImportError("no such library")


def test_each_has_a_process_and_keeps_it(tmp_path: Path) -> None:
    first, again = (in_subprocess(process_id, tmp_path, "float32") for _ in range(2))
    other = in_subprocess(process_id, tmp_path, "int8")
    here = float(os.getpid())
    assert first([1], 1, 1) == again([1], 1, 1) != here
    assert other([1], 1, 1) not in (here, first([1], 1, 1))


def test_what_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="ImportError: no such library"):
        in_subprocess(missing, tmp_path, "float32")
    contender = in_subprocess(out_of_order, tmp_path, "float32")
    with pytest.raises(RuntimeError, match="ValueError: out of order"):
        contender([1], 1, 1)
    with pytest.raises(RuntimeError, match="its process died"):
        contender([1], 2, 1)
