"""The compiled library: that it was built, and that it is refused where it does not fit."""

import _ctypes
import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

from gptterm.engine.kernels import compiled as module
from gptterm.engine.kernels.compiled import LAYOUT, library, open_library


def file() -> str:
    spec = importlib.util.find_spec("gptterm.engine.kernels._kernels")
    assert spec is not None
    assert spec.origin is not None
    return spec.origin


def test_the_kernels_were_built() -> None:
    """The rest of the suite says little if it runs without them."""
    assert library() is not None, "install a C compiler (Debian: gcc), then gptterm again"


@pytest.mark.parametrize("changed", range(len(LAYOUT)))
def test_a_library_of_another_layout_is_not_used(
    changed: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert open_library(file()) is not None
    assert not caplog.records
    other = [size + 8 * (i == changed) for i, size in enumerate(LAYOUT)]
    monkeypatch.setattr(module, "LAYOUT", tuple(other))
    assert open_library(file()) is None
    assert "install gptterm again" in caplog.text


def test_a_library_from_before_the_check_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    assert open_library(_ctypes.__file__) is None
    assert "another version of its sources" in caplog.text


@pytest.mark.skipif(not shutil.which("gcc"), reason="the library is compiled here")
def test_a_library_that_lacks_a_function_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "old.c"
    source.write_text(f"const int kernels_layout[] = {{{', '.join(map(str, LAYOUT))}}};")
    old = source.with_suffix(".so")
    subprocess.run(["gcc", "-shared", "-fPIC", str(source), "-o", str(old)], check=True)
    assert open_library(str(old)) is None
    assert "another version of its sources" in caplog.text


def test_a_file_that_is_no_library(tmp_path: object) -> None:
    assert open_library(f"{tmp_path}/nothing.so") is None
