"""Identity of a request's daemon: its name, and a fingerprint of version and model files."""

import os

import msgspec

from gptterm import __version__
from gptterm.engine.api import LoadRequest, ModelInfo
from gptterm.engine.daemon.handshake import EngineStatus
from gptterm.engine.daemon.registry import digest

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
    """Return the name of the daemon for a request's model, device, dtype and context."""
    context = () if request.context is None else (str(request.context),)
    return name_prefix(request, factory) + digest(request.device, request.dtype, *context)[:6]


def serves(status: EngineStatus, request: LoadRequest) -> bool:
    """Whether a daemon of the requested model is on the requested device, in that dtype.

    Its context must be the requested one. Of the others, each may match the daemon's own request or
    what came of it: `auto` is `cpu` on a machine without a GPU.
    """
    device = "cuda:0" if request.device == "cuda" else request.device
    devices = (status.device, status.asked_device)
    dtypes = (status.dtype, status.asked_dtype)
    return device in devices and request.dtype in dtypes and request.context == status.context


def fingerprint_of(request: LoadRequest) -> str:
    """Return a digest of gptterm's version and of names, sizes and times of the model's files.

    A daemon of another fingerprint is outdated: a directory that has been trained on or
    downloaded again is another model.

    Raises:
        OSError: the directory cannot be read.
    """
    source = request.source
    files = []
    with os.scandir(source.directory) as entries:
        for entry in entries:
            wanted = entry.name == (source.gguf_file or entry.name)
            if wanted and os.path.splitext(entry.name)[1] in _MODEL_SUFFIXES and entry.is_file():
                status = entry.stat()
                files.append(f"{entry.name} {status.st_size} {status.st_mtime_ns}")
    return digest(__version__, *sorted(files))


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
