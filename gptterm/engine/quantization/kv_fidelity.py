"""Fidelities of KV caches in int8: measured once for a model, and kept in the cache folder.

Measuring feeds a text twice, which takes a large model some seconds.
"""

import os
from pathlib import Path

import msgspec

from gptterm.engine.api import LoadRequest
from gptterm.engine.decoders.native_decoder import NativeDecoder
from gptterm.engine.quantization.fidelity import TEXT, cache_kl
from gptterm.engine.runtime.fingerprint import digest, fingerprint_of
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.own_files import make_folder, write_own
from gptterm.paths import cache_directory
from gptterm.regular_files import read_regular

_MOST = 100
"""Models that are remembered, the last ones measured."""
_MOST_BYTES = 1 << 16


def kv_fidelity(request: LoadRequest, decoder: NativeDecoder, tokenizer: Tokenizer) -> float:
    """Mean KL divergence of a decoder with its KV cache in int8 from itself with one in float32.

    In nats a token, of a fixed text. Leaves the decoder with caches in int8.
    """
    kl = known_fidelity(request)
    if kl is None:
        kl = cache_kl(decoder, tokenizer.encode(TEXT))
        _remember(request, kl)
    return kl


def known_fidelity(request: LoadRequest) -> float | None:
    """Fidelity that has been measured before; None if it has not."""
    try:
        return _read().get(_key(request))
    except OSError:
        return None


def _remember(request: LoadRequest, kl: float) -> None:
    """Keep a measurement. A file that cannot be written is not an error."""
    try:
        # The last ones that were measured stand last.
        entries = [each for each in _read().items() if each[0] != _key(request)]
        kept = [*entries, (_key(request), kl)][-_MOST:]
        make_folder(cache_directory())
        write_own(_path(), msgspec.json.encode(dict(kept)), overwrite=True)
    except OSError:
        return


def _read() -> dict[str, float]:
    try:
        return msgspec.json.decode(read_regular(_path(), _MOST_BYTES), type=dict[str, float])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


def _path() -> Path:
    return cache_directory() / "kv_int8.json"


def _key(request: LoadRequest) -> str:
    return digest(os.path.realpath(request.source.directory), fingerprint_of(request))
