"""Fingerprint of a request: of the version and the files of a model and its adapters."""

import os
from collections.abc import Collection

from gptterm import __version__
from gptterm.engine.api import LoadRequest
from gptterm.engine.gguf_parts import part_names

try:
    # hashlib's own code: hashlib would load OpenSSL, 4 ms of a warm engine's first text.
    from _blake2 import blake2b
except ImportError:  # another implementation of Python
    from hashlib import blake2b

_MODEL_SUFFIXES = {".json", ".safetensors", ".gguf", ".bin", ".jinja", ".model", ".txt"}
"""Of files that an engine reads; the directory may also hold logs that grow."""


def digest(*parts: str) -> str:
    """Return a collision-resistant name of 16 hex digits for the parts."""
    return blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


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
