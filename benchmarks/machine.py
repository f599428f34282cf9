"""Facts about the machine that results depend on: CPU, load, versions."""

import os
import platform
import re
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "gptterm",
    "torch",
    "transformers",
    "ctranslate2",
    "llama_cpp_python",
    "openvino_genai",
    "numpy",
)


def facts() -> dict[str, Any]:
    """CPU, load, versions, date and commit."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "commit": _commit(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "vectors": _vectors(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
    } | {package: number for package in PACKAGES if (number := _version(package))}


def short_name(machine: dict[str, Any]) -> str:
    """Name of the file with a machine's saved results: virtual ones differ under one CPU name."""
    words = f"{machine['cpu']} {machine['cpus']} {machine['vectors']}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def fastest_dtype() -> str:
    """Dtype that torch computes fastest: bfloat16 only where the CPU has instructions for it."""
    has_bfloat16 = {"amx_bf16", "avx512_bf16", "bf16"} & _features()
    return "bfloat16" if has_bfloat16 else "float32"


def _vectors() -> str:
    """The widest vectors of the CPU that make kernels faster."""
    return next((name for name in ("avx512f", "avx2") if name in _features()), "")


def _features() -> set[str]:
    return {*_cpu_info("flags", "Features").split()}


def _cpu() -> str:
    return _cpu_info("model name") or platform.processor() or platform.machine()


def _cpu_info(*names: str) -> str:
    """Value of the first line of that name; empty if there is none."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    values = (line.split(":")[1].strip() for line in lines if line.startswith(names))
    return next(values, "")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _commit() -> str:
    """Commit of the checkout, with a + if files differ from it; empty outside a checkout."""
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty=+", "--exclude=*"]
    try:
        done = subprocess.run(
            command, cwd=Path(__file__).parent, check=False, capture_output=True, text=True
        )
    except OSError:
        return ""
    return done.stdout.strip()
