"""Disk cache of int8 conversions, so that a model is converted once.

One safetensors file for each model, in a folder of the user's own, named after a fingerprint of the
model's files. Files that are damaged, or that another user could have written, are ignored. Imports
no torch.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from gptterm.engine.runtime.model_files import CONFIG, read_bytes, weight_files
from gptterm.engine.runtime.safetensors_header import read_header
from gptterm.errors import ModelError
from gptterm.own_files import make_folder, open_own
from gptterm.paths import cache_directory
from gptterm.regular_files import open_regular

FIDELITY_BOUND = 0.01
"""Maximum mean KL divergence from float32, in nats a token, at which `auto` uses a conversion.

The model's own text then becomes about one percent less likely, which is less than its choice of
one word in a hundred.
"""
SIZE_LIMIT = 8 << 30
"""Maximum bytes of all conversions; the least recently used are evicted first."""

_FORMAT = "gptterm int8 3"
_SAMPLES, _SAMPLE_BYTES = 32, 4096


class Conversion(NamedTuple):
    """A saved int8 conversion of a model."""

    path: Path
    size: int
    """Bytes of the file."""
    fidelity_kl: float
    """Mean KL divergence from float32, in nats a token."""
    auto_enabled: bool
    """Whether the user allows `--dtype auto` to use it."""

    @property
    def used_by_auto(self) -> bool:
        return self.auto_enabled and self.fidelity_kl <= FIDELITY_BOUND


def folder() -> Path:
    """`converted` in the user's cache folder; it may not exist."""
    return cache_directory() / "converted"


def path_for(directory: Path) -> Path | None:
    """The path of a model directory's conversion, existing or not; None for unreadable models."""
    try:
        return folder() / f"{_fingerprint(directory)}.safetensors"
    except (OSError, ValueError, ModelError):
        return None  # loading the model reports the error


def find(directory: Path) -> Conversion | None:
    """Find the conversion of a model directory, if there is a trustworthy one."""
    if not folder().is_dir():  # most users have none: spare the fingerprint
        return None
    path = path_for(directory)
    return None if path is None else _inspect(path)


def find_for(directory: Path, dtype: str) -> Conversion | None:
    """Find the conversion that this dtype loads on a CPU in place of the model's own weights."""
    if dtype not in ("int8", "auto"):
        return None
    conversion = find(directory)
    if conversion is None or not (dtype == "int8" or conversion.used_by_auto):
        return None
    return conversion


def list_conversions() -> list[Conversion]:
    """List all conversions, of any model, most recently used first."""
    found = [_inspect(path) for path in folder().glob("*.safetensors")]
    return sorted(filter(None, found), key=lambda x: -x.path.stat().st_mtime_ns)


def ensure_folder() -> Path:
    """Create the folder if it does not exist.

    Raises:
        OSError: it cannot be created, or other users have access to it.
    """
    path = folder()
    make_folder(path)
    if not _is_own(path.lstat(), stat.S_ISDIR):
        raise PermissionError(f"{path} is open to others")
    return path


def metadata(fidelity_kl: float) -> dict[str, str]:
    """Metadata of a conversion's file."""
    return {"format": _FORMAT, "fidelity_kl": repr(fidelity_kl)}


def mark_used(path: Path) -> None:
    """Make a conversion the most recently used."""
    with contextlib.suppress(OSError):
        os.utime(path)


def evict_beyond(limit: int) -> None:
    """Remove the least recently used conversions until the rest have at most `limit` bytes."""
    total = 0
    for conversion in list_conversions():
        total += conversion.size
        if total > limit:
            remove_at(conversion.path)


def set_auto(conversion: Conversion, enabled: bool) -> None:
    """Set whether `--dtype auto` may use a conversion.

    Raises:
        OSError: the setting cannot be saved.
    """
    marker = _marker(conversion.path)
    if enabled:
        os.close(open_own(marker, os.O_WRONLY | os.O_CREAT))
    else:
        marker.unlink(missing_ok=True)


def remove(directory: Path) -> int:
    """Remove a model directory's conversion; return the bytes that were freed."""
    path = path_for(directory)
    return 0 if path is None else remove_at(path)


def remove_at(path: Path) -> int:
    """Remove the conversion at a path, if there is one; return the bytes that were freed."""
    try:
        size = path.lstat().st_size
        path.unlink()
        _marker(path).unlink(missing_ok=True)
    except OSError:
        return 0
    return size


def _marker(path: Path) -> Path:
    """The empty file beside a conversion that enables it for `auto`."""
    return path.with_suffix(".auto")


def _inspect(path: Path) -> Conversion | None:
    try:
        if not _is_own(path.parent.lstat(), stat.S_ISDIR):
            return None
        status = path.lstat()
        if not _is_own(status, stat.S_ISREG):
            return None
        found = read_header(path).metadata
        if found.get("format") != _FORMAT:
            return None
        kl = float(found["fidelity_kl"])
        return Conversion(path, status.st_size, kl, _marker(path).exists())
    except (OSError, ValueError, KeyError, ModelError):
        return None


def _is_own(status: os.stat_result, is_kind: Callable[[int], bool]) -> bool:
    mode = status.st_mode
    return is_kind(mode) and status.st_uid == os.geteuid() and not stat.S_IMODE(mode) & 0o077


def _fingerprint(directory: Path) -> str:
    """Hash that identifies a model's weights, without reading all of them.

    Covers names, sizes, times, headers and samples of the data: a change of weights with the clock
    set back goes unnoticed only if it misses all samples.
    """
    digest = hashlib.sha256(_FORMAT.encode())
    digest.update(read_bytes(directory / CONFIG))
    for file in weight_files(directory):
        status = file.stat()
        digest.update(f"\0{file.name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
        for part in _samples(file, status.st_size):
            digest.update(part)
    return digest.hexdigest()[:32]


def _samples(file: Path, size: int) -> Iterator[bytes]:
    header = read_header(file).raw
    yield header
    start = 8 + len(header)
    with open_regular(file) as opened:
        for i in range(_SAMPLES):
            opened.seek(start + (size - start) * i // _SAMPLES)
            yield opened.read(_SAMPLE_BYTES)
