"""Identity of a request's daemon: its name, and a fingerprint of version and model files."""

import os
from collections.abc import Collection, Iterable

import msgspec

from gptterm import __version__
from gptterm.engine.api import AdapterSource, LoadRequest, ModelInfo
from gptterm.engine.daemon.handshake import EngineStatus
from gptterm.engine.daemon.registry import digest
from gptterm.engine.gguf_parts import part_names

_DEVICE_VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "HIP_VISIBLE_DEVICES")
"""Environment variables that change which device a name stands for."""
_MODEL_SUFFIXES = {".json", ".safetensors", ".gguf", ".bin", ".jinja", ".model", ".txt"}
"""Of files that an engine reads; the directory may also hold logs that grow."""


def name_prefix(request: LoadRequest, factory: str) -> str:
    """Return the common prefix of the names of a model's daemons, on any device and dtype."""
    source = request.source
    variables = (os.environ.get(name, "") for name in _DEVICE_VARIABLES)
    parts = (os.path.realpath(source.directory), source.gguf_file or "", factory, *variables)
    return digest(*parts)[:10]


def daemon_name(request: LoadRequest, factory: str) -> str:
    """Return the name of the daemon for a request's model, adapters, device, dtype and context."""
    context = () if request.context is None else (str(request.context),)
    adapters = (f"{path}={scale}" for path, scale in _real(request.adapters))
    parts = (request.device, request.dtype, *context, *adapters)
    return name_prefix(request, factory) + digest(*parts)[:6]


def serves(status: EngineStatus, request: LoadRequest) -> bool:
    """Whether a daemon of the requested model is on the requested device, in that dtype.

    Its context and adapters must be the requested ones. Of the others, each may match the daemon's
    own request or what came of it: `auto` is `cpu` on a machine without a GPU.
    """
    device = "cuda:0" if request.device == "cuda" else request.device
    devices = (status.device, status.asked_device)
    dtypes = (status.dtype, status.asked_dtype)
    alike = request.context == status.context and _real(request.adapters) == _real(status.adapters)
    return alike and device in devices and request.dtype in dtypes


def _real(adapters: Iterable[AdapterSource]) -> list[tuple[str, float]]:
    """Directories behind all links, and scales."""
    return [(os.path.realpath(each.directory), each.scale) for each in adapters]


def fingerprint_of(request: LoadRequest) -> str:
    """Return a digest of gptterm's version and of names, sizes and times of the files of the model
    and its adapters.

    A daemon of another fingerprint is outdated: a directory that has been trained on or
    downloaded again is another model.

    Raises:
        OSError: the directory cannot be read.
    """
    gguf_file = request.source.gguf_file
    files = _files(request.source.directory, None if gguf_file is None else part_names(gguf_file))
    adapters = (file for each in request.adapters for file in _files(each.directory, None))
    return digest(__version__, *files, *adapters)


def _files(directory: str, only: Collection[str] | None) -> list[str]:
    files = []
    with os.scandir(directory) as entries:
        for entry in entries:
            wanted = only is None or entry.name in only
            if wanted and os.path.splitext(entry.name)[1] in _MODEL_SUFFIXES and entry.is_file():
                status = entry.stat()
                files.append(f"{entry.name} {status.st_size} {status.st_mtime_ns}")
    return sorted(files)


def as_requested(info: ModelInfo, request: LoadRequest, pid: int, waited_s: float) -> ModelInfo:
    """Return a daemon's model info under the name and with the notices of this client's request."""
    source = request.source
    return msgspec.structs.replace(
        info,
        name=source.name,
        revision=source.revision or info.revision,
        load_s=waited_s,
        warm_pid=pid,
        notices=tuple(dict.fromkeys((*source.notices, *info.notices))),
    )
