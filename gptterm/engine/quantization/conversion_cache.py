"""Where converted weights are kept, so that a model need not be converted at every start.

One safetensors file for each model, in a folder of the user's own. Its name comes from the model
that it was made of: another model, or the same one trained on, has another. What is damaged, or
could be another user's, does not count. Imports no torch.
"""

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from gptterm.engine.runtime.model_files import weight_files
from gptterm.engine.runtime.safetensors_header import read_header
from gptterm.errors import ModelError
from gptterm.paths import cache_directory

FIDELITY_BOUND = 0.01
"""Nats a token, mean KL divergence from float32, up to which `auto` may take a conversion. Text of
the model's own then becomes about one percent less likely, less than its choice of a single word
in a hundred."""
SIZE_LIMIT = 8 << 30
"""Bytes of all conversions together; those used longest ago go first."""

_FORMAT = "gptterm int8 3"
_SAMPLES, _SAMPLE_BYTES = 32, 4096


class Conversion(NamedTuple):
    """A model's weights in int8."""

    path: Path
    size: int
    """Bytes on the disk."""
    fidelity_kl: float
    """Mean KL divergence from float32, in nats a token."""
    auto_enabled: bool
    """Whether the user wants `--dtype auto` to take it."""

    @property
    def used_by_auto(self) -> bool:
        return self.auto_enabled and self.fidelity_kl <= FIDELITY_BOUND


def folder() -> Path:
    """`converted` in the user's cache folder, or in GPTTERM_HOME's; it need not be there."""
    return cache_directory() / "converted"


def path_for(directory: Path) -> Path | None:
    """Where the conversion of a model directory is, or would be; None if it cannot be read."""
    try:
        return folder() / f"{_digest(directory)}.safetensors"
    except (OSError, ValueError, ModelError):
        return None  # whoever loads the model will say what is wrong with it


def find(directory: Path) -> Conversion | None:
    """The conversion of a model directory, if there is one that can be trusted."""
    if not folder().is_dir():  # most users never have one: nothing is read for its name
        return None
    place = path_for(directory)
    return None if place is None else _look_at(place)


def find_for(directory: Path, dtype: str) -> Conversion | None:
    """The conversion that a CPU would read for this dtype, instead of the model's own weights."""
    if dtype not in ("int8", "auto"):
        return None
    conversion = find(directory)
    if conversion is None or not (dtype == "int8" or conversion.used_by_auto):
        return None
    return conversion


def list_conversions() -> list[Conversion]:
    """Every conversion in the folder, whatever model it is of; the last used first."""
    found = [_look_at(place) for place in folder().glob("*.safetensors")]
    return sorted(filter(None, found), key=lambda x: -x.path.stat().st_mtime_ns)


def ensure_folder() -> Path:
    """The folder, made if it was not there.

    Raises:
        OSError: it cannot be made, or others could write in it.
    """
    path = folder()
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _is_own(path.lstat(), stat.S_ISDIR):
        raise PermissionError(f"{path} is open to others")
    return path


def metadata(fidelity_kl: float) -> dict[str, str]:
    """What a conversion's file says of itself."""
    return {"format": _FORMAT, "fidelity_kl": repr(fidelity_kl)}


def mark_used(place: Path) -> None:
    """Let a conversion count as used just now."""
    with contextlib.suppress(OSError):
        os.utime(place)


def evict_beyond(limit: int) -> None:
    """Remove conversions, those used longest ago first, until the rest is no larger than this."""
    total = 0
    for conversion in list_conversions():
        total += conversion.size
        if total > limit:
            remove_at(conversion.path)


def set_auto(conversion: Conversion, wanted: bool) -> None:
    """Say whether `--dtype auto` may take a conversion.

    Raises:
        OSError: that cannot be written down.
    """
    marker = _marker(conversion.path)
    if wanted:
        os.close(os.open(marker, os.O_WRONLY | os.O_CREAT, 0o600))
    else:
        marker.unlink(missing_ok=True)


def remove(directory: Path) -> int:
    """Remove a model directory's conversion; returns how many bytes that has freed."""
    place = path_for(directory)
    return 0 if place is None else remove_at(place)


def remove_at(place: Path) -> int:
    """Remove the conversion there, if there is one; returns how many bytes that has freed."""
    try:
        size = place.lstat().st_size
        place.unlink()
        _marker(place).unlink(missing_ok=True)
    except OSError:
        return 0
    return size


def _marker(place: Path) -> Path:
    return place.with_suffix(".auto")


def _look_at(place: Path) -> Conversion | None:
    try:
        if not _is_own(place.parent.lstat(), stat.S_ISDIR):
            return None
        status = place.lstat()
        if not _is_own(status, stat.S_ISREG):
            return None
        told = read_header(place).metadata
        if told.get("format") != _FORMAT:
            return None
        kl = float(told["fidelity_kl"])
        return Conversion(place, status.st_size, kl, _marker(place).exists())
    except (OSError, ValueError, KeyError, ModelError):
        return None


def _is_own(status: os.stat_result, is_kind: Callable[[int], bool]) -> bool:
    mode = status.st_mode
    return is_kind(mode) and status.st_uid == os.geteuid() and not stat.S_IMODE(mode) & 0o077


def _digest(directory: Path) -> str:
    """Tells a model's weights from any others, without reading all of them.

    Names, sizes, times and headers, and what stands in some places: who changes weights and sets
    back the clock is noticed unless the change misses all of those.
    """
    digest = hashlib.sha256(_FORMAT.encode())
    digest.update((directory / "config.json").read_bytes())
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
    with file.open("rb", buffering=0) as opened:
        for i in range(_SAMPLES):
            opened.seek(start + (size - start) * i // _SAMPLES)
            yield opened.read(_SAMPLE_BYTES)
