"""A native decoder in int8: from the conversion that was kept, or from one made and kept now."""

import contextlib
from pathlib import Path
from typing import Any

from gptterm.engine.decoders import native
from gptterm.engine.decoders.int8_weights import Int8Weights, read, write
from gptterm.engine.decoders.native import NativeDecoder
from gptterm.engine.quantization import conversion_cache
from gptterm.engine.quantization.conversion_cache import SIZE_LIMIT
from gptterm.engine.quantization.fidelity import TEXT, mean_kl
from gptterm.engine.text.tokenizer import Tokenizer


def load(
    directory: Path, config: dict[str, Any], tokenizer: Tokenizer
) -> tuple[NativeDecoder, float] | None:
    """A decoder on the CPU, and its mean KL divergence from float32 in nats a token.

    None if config.json describes something that has no native decoder.

    Raises:
        ModelError: as `native.load`.
    """
    conversion = conversion_cache.find(directory)
    kept = None if conversion is None else read(conversion.path)
    quantised = Int8Weights(kept)
    decoder = native.load(directory, config, "cpu", "int8", quantised)
    if decoder is None:
        return None
    if conversion is not None and not quantised.made:
        conversion_cache.mark_used(conversion.path)
        return decoder, conversion.fidelity_kl
    exact = native.load(directory, config, "cpu", "float32")
    assert exact is not None
    kl = mean_kl(exact, decoder, tokenizer.encode(TEXT))
    _keep(directory, quantised, kl)
    return decoder, kl


def _keep(directory: Path, quantised: Int8Weights, kl: float) -> None:
    """Write a conversion, if there is room and the right to: it can always be made again."""
    with contextlib.suppress(OSError):
        conversion_cache.ensure_folder()
        place = conversion_cache.path_for(directory)
        if place is not None:
            write(place, quantised.tensors, conversion_cache.metadata(kl))
            conversion_cache.evict_beyond(SIZE_LIMIT)
