"""Which warm engine a request belongs to, and whether the one that is there is still right."""

import os
from pathlib import Path

from gptterm import __version__
from gptterm.engine.api import LoadRequest
from gptterm.engine.warm.place import digest

_DEVICES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "HIP_VISIBLE_DEVICES")
"""Variables that give the names of devices another meaning."""


def name_of(request: LoadRequest, factory: str) -> str:
    """The name of the engine for a model, a device and a dtype."""
    source = request.source
    return digest(
        os.path.realpath(source.directory),
        source.gguf_file or "",
        request.device,
        request.dtype,
        factory,
        *(os.environ.get(name, "") for name in _DEVICES),
    )


def stamp_of(request: LoadRequest) -> str:
    """What has to be the same for an engine to be of use: gptterm's version, the model's files.

    A directory that was trained on or downloaded again since is another model.
    """
    files = []
    with os.scandir(Path(request.source.directory)) as entries:
        for entry in entries:
            if entry.is_file():
                status = entry.stat()
                files.append(f"{entry.name} {status.st_size} {status.st_mtime_ns}")
    return digest(__version__, *sorted(files))
