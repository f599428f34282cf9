"""Fidelity of a converted model, or of a KV cache: KL divergence from the same model in float32."""

import numpy as np

from gptterm.engine.decoders.base import Ids, Logits
from gptterm.engine.decoders.kv_cache import KVCache
from gptterm.engine.decoders.native_decoder import NativeDecoder
from gptterm.engine.sampling.distribution import log_softmax

TEXT = """\
The harbour was quiet when Anna came down the steps that morning. Two boats lay against the wall, \
and an old man was mending a net. He did not look up. "You are late," he said. "The tide will not \
wait for you." She laughed and threw her bag into the smaller boat.

Water boils at a lower temperature on a mountain than at the sea, because the air presses less on \
it. That is why potatoes take longer to cook in a hut at 3,000 metres. In 1804 two travellers \
measured it with a thermometer, a kettle and a great deal of patience.

def mean(values):
    total = 0
    for value in values:
        total += value
    return total / len(values)
"""
"""A story, a fact and a program; the same text for every model."""
_CHUNK = 64
"""Tokens whose logits are in memory at once."""

_Fed = tuple[NativeDecoder, KVCache]


def mean_kl(exact: NativeDecoder, converted: NativeDecoder, ids: list[int]) -> float:
    """Mean KL divergence of the next token's distributions over a text, in nats a token.

    Args:
        ids: the text; what exceeds the context is cut.
    """
    return _mean_kl((exact, exact.new_cache()), (converted, converted.new_cache()), ids)


def cache_kl(decoder: NativeDecoder, ids: list[int]) -> float:
    """The same of a decoder whose KV cache is in int8, from itself with one in float32."""
    caches = []
    for dtype in ("float32", "int8"):
        decoder.keep_cache_in(dtype)
        caches.append((decoder, decoder.new_cache()))
    exact, rough = caches
    return _mean_kl(exact, rough, ids)


def _mean_kl(exact: _Fed, found: _Fed, ids: list[int]) -> float:
    text = np.array([ids])[:, : exact[0].context_length]
    each = []
    for start in range(0, text.shape[1], _CHUNK):
        chunk = text[:, start : start + _CHUNK]
        for pair in zip(_logits(exact, chunk), _logits(found, chunk), strict=True):
            p, q = map(log_softmax, pair)
            each.append(np.sum(np.exp(p) * (p - q), dtype=np.float64))
    return float(np.mean(each))


def _logits(fed: _Fed, chunk: Ids) -> Logits:
    """After each token of a chunk of a text, which is fed."""
    decoder, cache = fed
    logits = decoder.forward(chunk, cache, last=chunk.shape[1])
    assert logits is not None
    return logits
