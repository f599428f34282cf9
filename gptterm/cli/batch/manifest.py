"""Manifest of a batch: the model, the settings and the input that its records are of."""

import hashlib
import os
import stat
from typing import NamedTuple

import msgspec

from gptterm.cli.batch.options import BatchOptions
from gptterm.cli.batch.output_file import Manifest
from gptterm.config import Settings
from gptterm.engine.api import ModelInfo

_CHUNK_BYTES = 1 << 20


class Content(NamedTuple):
    """An input that can be read again."""

    lines: int
    digest: str
    """BLAKE2b of its bytes, hexadecimal."""


def survey(descriptor: int) -> Content | None:
    """Read a file once, to its end, and go back; None for a pipe."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return None
    start = os.lseek(descriptor, 0, os.SEEK_CUR)
    digest = hashlib.blake2b(digest_size=32)
    count, last = 0, b"\n"
    while part := os.read(descriptor, _CHUNK_BYTES):
        digest.update(part)
        count, last = count + part.count(b"\n"), part[-1:]
    os.lseek(descriptor, start, os.SEEK_SET)
    return Content(count + (last != b"\n"), digest.hexdigest())


def new_manifest(
    info: ModelInfo, settings: Settings, options: BatchOptions, content: Content | None
) -> Manifest:
    """Return the manifest of a run. What only changes its speed is no part of it."""
    return {
        "format": 1,
        "model": {
            "name": info.name,
            "revision": info.revision,
            "dtype": info.dtype,
            # Not in what older versions have written.
            **({} if settings.kv_dtype == "auto" else {"kv_dtype": info.kv_dtype}),
        },
        "settings": {
            "sampling": msgspec.structs.asdict(settings.sampling),
            "max_tokens": settings.max_tokens,
            "stop": settings.stop,
            # Not in what older versions have written.
            **({"until": settings.until} if settings.until else {}),
            "seed": settings.seed,
            "system": settings.system,
            "form": settings.form,
            "overflow": settings.overflow,
            "transcript": msgspec.structs.asdict(settings.transcript),
            "logprobs": options.logprobs,
        },
        "input": {
            "digest": None if content is None else content.digest,
            "lines": options.plain,
        },
    }
