"""Parse config.json into the hyper-parameters of a native decoder, by model_type."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.config_parsers import gemma, gpt, llama, parallel
from gptterm.engine.decoders.config_values import VariantError, shown
from gptterm.engine.decoders.rotary import Rotary

_PARSERS: dict[str, Callable[[dict[str, Any]], DecoderConfig]] = {
    "openai-gpt": gpt.gpt1,
    "gpt2": gpt.gpt2,
    "gpt_neo": gpt.gpt_neo,
    "llama": llama.llama,
    "mistral": llama.mistral,
    "qwen2": llama.qwen2,
    "qwen3": llama.qwen3,
    "smollm3": llama.smollm3,
    "granite": llama.granite,
    "olmo2": llama.olmo2,
    "phi3": llama.phi3,
    "starcoder2": llama.starcoder2,
    "gpt_neox": parallel.gpt_neox,
    "gptj": parallel.gptj,
    "phi": parallel.phi,
    "falcon": parallel.falcon,
    "stablelm": parallel.stablelm,
    "opt": gpt.opt,
    "bloom": gpt.bloom,
    "gemma": gemma.gemma,
    "gemma2": gemma.gemma2,
    "gemma3_text": gemma.gemma3,
}

NATIVE_TYPES = frozenset(_PARSERS)
"""Values of model_type for which there are native decoders, for most variants."""


def parse_config(
    config: dict[str, Any], context: int | None = None, *, switches: bool = True
) -> DecoderConfig | None:
    """Parse a config.json; None for an architecture, or a variant, without a native decoder.

    Args:
        context: longest text that the model will get, in tokens; None: as long as it can.
        switches: whether texts that grow may get another rotary embedding, as of LongRoPE.

    Raises:
        ModelError: a hyper-parameter is out of range or of another type.
    """
    try:
        return _parsed(config, context, switches)
    except VariantError:
        return None


def why_not_native(config: dict[str, Any], *, switches: bool = True) -> str:
    """Why no native decoder runs a model, in a few words; empty where one does.

    Args:
        switches: as `parse_config`'s.

    Raises:
        ModelError: as `parse_config`.
    """
    try:
        _parsed(config, None, switches)
    except VariantError as reason:
        return str(reason)
    return ""


def _parsed(config: dict[str, Any], context: int | None, switches: bool) -> DecoderConfig:
    model_type = config.get("model_type")
    parse = _PARSERS.get(model_type) if isinstance(model_type, str) else None
    if parse is None:
        raise VariantError(f"model_type {shown(model_type)} has no native decoder")
    if "quantization_config" in config:
        raise VariantError("its weights are quantised")
    parsed = parse(config)
    longest = min(parsed.context_length, context or parsed.context_length)
    _outgrown(parsed.local_rotary, longest, switches=False)
    if parsed.rotary is None or _outgrown(parsed.rotary, longest, switches=switches):
        return parsed
    return replace(parsed, rotary=replace(parsed.rotary, beyond=None))


def _outgrown(rotary: Rotary | None, longest: int, *, switches: bool) -> bool:
    """Whether there are texts that outgrow a rotary embedding, and switch to another.

    Raises:
        VariantError: there are, and they cannot switch.
    """
    if rotary is None or rotary.reach is None or longest <= rotary.reach:
        return False
    if rotary.beyond is None or not switches:
        raise VariantError(
            f"its rotary embedding is another beyond {rotary.reach:,} tokens; --context"
            f" {rotary.reach} gives it a decoder of gptterm's own"
        )
    return True
