"""Identity of a request's daemon: its name, and whether another one will do."""

import os
from collections.abc import Iterable

import msgspec

from gptterm.engine.api import AdapterSource, LoadRequest, ModelInfo
from gptterm.engine.daemon.handshake import EngineStatus
from gptterm.engine.runtime.fingerprint import digest

_DEVICE_VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "HIP_VISIBLE_DEVICES")
"""Environment variables that change which device a name stands for."""


def name_prefix(request: LoadRequest, factory: str) -> str:
    """Return the common prefix of the names of a model's daemons, on any device and dtype."""
    source = request.source
    variables = (os.environ.get(name, "") for name in _DEVICE_VARIABLES)
    parts = (os.path.realpath(source.directory), source.gguf_file or "", factory, *variables)
    return digest(*parts)[:10]


def daemon_name(request: LoadRequest, factory: str) -> str:
    """Return the name of the daemon for a request's model, adapters, device, dtypes and context."""
    cache = () if request.kv_dtype == "auto" else (request.kv_dtype,)
    context = () if request.context is None else (str(request.context),)
    adapters = (f"{path}={scale}" for path, scale in _real(request.adapters))
    parts = (request.device, request.dtype, *cache, *context, *adapters)
    return name_prefix(request, factory) + digest(*parts)[:6]


def serves(status: EngineStatus, request: LoadRequest) -> bool:
    """Whether a daemon of the requested model is on the requested device, in that dtype.

    Its context, adapters and KV cache's dtype must be the requested ones. Of the others, each may
    match the daemon's own request or what came of it: `auto` is `cpu` on a machine without a GPU.
    """
    device = "cuda:0" if request.device == "cuda" else request.device
    devices = (status.device, status.asked_device)
    dtypes = (status.dtype, status.asked_dtype)
    asked = (request.context, request.kv_dtype, _real(request.adapters))
    alike = asked == (status.context, status.kv_dtype, _real(status.adapters))
    return alike and device in devices and request.dtype in dtypes


def _real(adapters: Iterable[AdapterSource]) -> list[tuple[str, float]]:
    """Directories behind all links, and scales."""
    return [(os.path.realpath(each.directory), each.scale) for each in adapters]


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
