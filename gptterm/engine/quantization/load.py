"""Load a native decoder in int8, from a saved conversion or by converting the model now."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gptterm.engine.decoders import native
from gptterm.engine.decoders.int8_weights import Int8Weights, load_conversion, save_conversion
from gptterm.engine.decoders.lora import Adapter
from gptterm.engine.decoders.native_decoder import NativeDecoder
from gptterm.engine.quantization import conversion_cache
from gptterm.engine.quantization.conversion_cache import SIZE_LIMIT, Conversion
from gptterm.engine.quantization.fidelity import TEXT, mean_kl
from gptterm.engine.text.tokenizer import Tokenizer


def load_int8(
    directory: Path,
    config: dict[str, Any],
    tokenizer: Tokenizer,
    conversion: Conversion | None,
    adapters: Sequence[Adapter] = (),
    context: int | None = None,
) -> tuple[NativeDecoder, float] | None:
    """Load a decoder on the CPU, and its mean KL divergence from float32 in nats a token.

    None if there is no native decoder for config.json. Without a conversion of the model the
    weights are quantised, and saved as one; with adapters, which are merged before that, there is
    none, and it is done at every start.

    Raises:
        ModelError: as `native.load`.
    """
    weights = Int8Weights(None if conversion is None else load_conversion(conversion.path))
    decoder = native.load(directory, config, "cpu", "int8", weights, adapters, context)
    if decoder is None:
        return None
    if conversion is not None and not weights.quantised:
        conversion_cache.mark_used(conversion.path)
        return decoder, conversion.fidelity_kl
    exact = native.load(directory, config, "cpu", "float32", adapters=adapters, context=context)
    assert exact is not None
    kl = mean_kl(exact, decoder, tokenizer.encode(TEXT))
    if not adapters:
        _save(directory, weights, kl)
    return decoder, kl


def _save(directory: Path, weights: Int8Weights, kl: float) -> None:
    """Save a conversion if possible: without it the next start converts again."""
    with contextlib.suppress(OSError):
        conversion_cache.ensure_folder()
        file = conversion_cache.path_for(directory)
        if file is not None:
            save_conversion(file, weights.arrays, conversion_cache.metadata(kl))
            conversion_cache.evict_beyond(SIZE_LIMIT)
