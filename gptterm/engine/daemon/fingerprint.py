"""Which warm engine a request belongs to, and whether the one that is there is still right."""

import os

import msgspec

from gptterm import __version__
from gptterm.engine.api import LoadRequest, ModelInfo
from gptterm.engine.daemon.handshake import EngineStatus
from gptterm.engine.daemon.registry import digest

_DEVICES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "HIP_VISIBLE_DEVICES")
"""Variables that give the names of devices another meaning."""


def name_prefix(request: LoadRequest, factory: str) -> str:
    """What the names of all engines for a model begin with, whatever they run on."""
    source = request.source
    variables = (os.environ.get(name, "") for name in _DEVICES)
    parts = (os.path.realpath(source.directory), source.gguf_file or "", factory, *variables)
    return digest(*parts)[:10]


def daemon_name(request: LoadRequest, factory: str) -> str:
    """The name of the engine that was asked for a model, a device and a dtype."""
    return name_prefix(request, factory) + digest(request.device, request.dtype)[:6]


def serves(status: EngineStatus, request: LoadRequest) -> bool:
    """Whether an engine of the right model is on the device and in the dtype of a request.

    What is asked for may be what the engine was asked for, or what that turned out to be:
    `auto` on a machine without a GPU is `cpu`.
    """
    device = "cuda:0" if request.device == "cuda" else request.device
    devices = (status.device, status.asked_device)
    return device in devices and request.dtype in (status.dtype, status.asked_dtype)


_SUFFIXES = {".json", ".safetensors", ".gguf", ".bin", ".jinja", ".model", ".txt"}
"""Of the files that an engine reads: a directory may also hold logs that grow."""


def fingerprint_of(request: LoadRequest) -> str:
    """What has to be the same for an engine to be of use: gptterm's version, the model's files.

    A directory that was trained on or downloaded again since is another model.

    Raises:
        OSError: the directory cannot be read.
    """
    source = request.source
    files = []
    with os.scandir(source.directory) as entries:
        for entry in entries:
            wanted = entry.name == (source.gguf_file or entry.name)
            if wanted and os.path.splitext(entry.name)[1] in _SUFFIXES and entry.is_file():
                status = entry.stat()
                files.append(f"{entry.name} {status.st_size} {status.st_mtime_ns}")
    return digest(__version__, *sorted(files))


def as_requested(info: ModelInfo, request: LoadRequest, pid: int, waited_s: float) -> ModelInfo:
    """What an engine says of its model, for a client that has a name of its own for it."""
    source = request.source
    return msgspec.structs.replace(
        info,
        name=source.name,
        revision=source.revision or info.revision,
        load_s=waited_s,
        warm_pid=pid,
        notices=(*source.notices, *info.notices),
    )
