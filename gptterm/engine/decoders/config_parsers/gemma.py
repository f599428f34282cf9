"""Gemma 1, 2 and 3: their config.json."""

from typing import Any

from msgspec.structs import replace

from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.config_parsers.llama import Defaults, common, window
from gptterm.engine.decoders.config_values import VariantError, count, layer_kinds, number
from gptterm.engine.decoders.rotary import parse_rotary

_TANH = "gelu_pytorch_tanh"
_GEMMA = Defaults(
    *(3072, 24576, 28, 16, 16, 256),
    vocab=256000, context=8192, activation=_TANH, tied=True,
)  # fmt: skip
_GEMMA2 = _GEMMA._replace(width=2304, inner=9216, layers=26, heads=8, kv_heads=4)
_GEMMA3 = _GEMMA2._replace(vocab=262_208, context=131_072)


def _common(config: dict[str, Any], defaults: Defaults) -> DecoderConfig:
    if config.get("use_bidirectional_attention"):
        raise VariantError("use_bidirectional_attention")
    parsed = common(config | {"mlp_bias": False}, defaults)
    return replace(parsed, embedding_scale=parsed.hidden_size**0.5)


def gemma(config: dict[str, Any]) -> DecoderConfig:
    if config.get("hidden_act") == "gelu":  # of the official files, which mean the approximation
        config = config | {"hidden_act": _TANH}
    return _common(config, _GEMMA)


def gemma2(config: dict[str, Any]) -> DecoderConfig:
    parsed = _with_windows(config, _GEMMA2, pattern=2)
    return replace(
        parsed,
        attention_soft_cap=_bound(config, "attn_logit_softcapping", 50.0),
        logit_soft_cap=_bound(config, "final_logit_softcapping", 30.0),
    )


def gemma3(config: dict[str, Any]) -> DecoderConfig:
    if config.get("attn_logit_softcapping") is not None:
        raise VariantError("attn_logit_softcapping")
    by_kind = config.get("rope_parameters") or {}
    older = config.get("rope_scaling") or {}
    if not isinstance(by_kind, dict) or not isinstance(older, dict):
        raise VariantError("rope_parameters of an unknown form")
    far, near = (by_kind.get(f"{kind}_attention") or {} for kind in ("full", "sliding"))
    unknown = by_kind.keys() - {"full_attention", "sliding_attention"}
    if unknown or not isinstance(far, dict) or not isinstance(near, dict):
        raise VariantError("rope_parameters of an unknown form")
    far = {"rope_theta": config.get("rope_theta", 1_000_000.0)} | far | older
    near = {"rope_theta": config.get("rope_local_base_freq", 10_000.0)} | near
    config = config | {"rope_parameters": far, "rope_scaling": None}
    parsed = _with_windows(config, _GEMMA3, count(config, "sliding_window_pattern", 6))
    local = parse_rotary({"rope_parameters": near}, parsed.context_length, parsed.head_dim)
    return replace(
        parsed,
        local_rotary=local,
        query_norm=True,
        logit_soft_cap=_bound(config, "final_logit_softcapping", None),
    )


def _with_windows(config: dict[str, Any], defaults: Defaults, pattern: int) -> DecoderConfig:
    """Common fields of Gemma 2 and 3: by default each `pattern`-th layer has no window."""
    config = config | {"hidden_act": config.get("hidden_activation", _TANH)}
    parsed = _common(config, defaults)
    if config.get("sliding_window", 0) is None:
        raise VariantError("sliding_window null")
    size = window(config, 4096, parsed.context_length)
    usual = [
        "sliding_attention" if i % pattern else "full_attention"
        for i in range(1, parsed.num_layers + 1)
    ]
    kinds = {"full_attention": None, "sliding_attention": size}
    return replace(
        parsed,
        windows=layer_kinds(config, kinds, usual),
        attention_scale=count(config, "query_pre_attn_scalar", 256) ** -0.5,
    )


def _bound(config: dict[str, Any], name: str, default: float | None) -> float | None:
    """The bound of a soft cap; None if there is none."""
    if config.get(name, default) is None:
        return None
    return number(config, name, default or 0)
