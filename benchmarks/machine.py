"""Facts about the machine that results depend on: CPU, load, versions."""

import os
import platform
import re
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("gptterm", "torch", "transformers", "ctranslate2", "llama_cpp_python", "numpy")


def facts() -> dict[str, Any]:
    """CPU, load, versions, date and commit."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "commit": _commit(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg(),
        "python": platform.python_version(),
    } | {package: number for package in PACKAGES if (number := _version(package))}


def short_name(machine: dict[str, Any]) -> str:
    """Name of the file with a machine's saved results."""
    return re.sub(r"[^a-z0-9]+", "-", f"{machine['cpu']} {machine['cpus']}".lower()).strip("-")


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


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
