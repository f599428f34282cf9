"""`make check-c` says what it lacks, and lets no wrong kernel pass."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine.kernels.portable_sources import copy_portable_sources
from tools import check_c


def test_a_compiler_that_is_not_there() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.check_c"],
        cwd=check_c.ROOT,
        env=os.environ | {"CC": "no-such-compiler"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("check-c: there is no C compiler 'no-such-compiler': install GCC")


def test_a_compiler_without_sanitizers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text("#!/bin/sh\necho cannot find -lasan >&2; exit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setattr(check_c, "CC", str(compiler))
    with pytest.raises(check_c.CheckError, match=r"cannot build for -fsanitize=address: install"):
        check_c.check_tools(tmp_path)


def test_a_sanitizer_that_reports_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(check_c.SANITIZERS, "thread", [])
    with pytest.raises(check_c.CheckError, match="does not report a data race"):
        check_c.check_tools(tmp_path)


def test_a_fault_in_the_kernels_fails_the_driver(tmp_path: Path) -> None:
    """An activation that writes its last vector whole, whatever is left of it."""
    copy_portable_sources(tmp_path)
    file = tmp_path / "elementwise.inc"
    text, rest = file.read_text(), "if (i < end) {\n        float rest[LANES] = {0};"
    assert text.count(rest) == 1
    whole = "if (i < end) { store(a->x + i, activated(kind, load(a->x + i))); return; }"
    file.write_text(text.replace(rest, f"{whole} {rest}"))
    sources = [*sorted(tmp_path.glob("*.c")), check_c.DRIVER]
    # Compiling takes longer than running: -O0 compiles fastest, and a write needs no UBSan.
    flags = ["-std=gnu11", "-pthread", f"-I{tmp_path}", "-O0", "-fsanitize=address"]
    objects = []
    for file in sources:
        objects.append(tmp_path / f"{file.stem}.o")
        check_c.execute([check_c.CC, *flags, "-c", file, "-o", objects[-1]])
    with pytest.raises(check_c.CheckError, match="heap-buffer-overflow"):
        check_c.run_driver(objects, "address")
