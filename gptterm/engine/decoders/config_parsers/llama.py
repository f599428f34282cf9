"""Llama and its relatives: their config.json."""

from typing import Any, NamedTuple

from msgspec.structs import replace

from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.config_values import (
    VariantError,
    activation,
    count,
    epsilon,
    flag,
    layer_kinds,
    number,
    renamed,
    shown,
)
from gptterm.engine.decoders.rotary import parse_rotary

MOST_LAYERS = 10_000


class Defaults(NamedTuple):
    """Defaults of transformers for absent fields; Llama's, and most relatives'."""

    width: int = 4096
    inner: int = 11008
    layers: int = 32
    heads: int = 32
    kv_heads: int | None = None
    """None: as many as heads."""
    head_dim: int | None = None
    """None: width / heads."""
    vocab: int = 32000
    context: int = 2048
    epsilon: float = 1e-6
    activation: str = "silu"
    theta: float = 10_000.0
    tied: bool = False
    share: float | None = None
    """Of a head's numbers that are rotated; None where it cannot be told."""


def common(config: dict[str, Any], defaults: Defaults) -> DecoderConfig:
    """Hyper-parameters that all relatives name alike.

    Raises:
        ModelError: a hyper-parameter is out of range or of another type.
        VariantError: there is no native decoder for it.
    """
    width = count(config, "hidden_size", defaults.width)
    heads = count(config, "num_attention_heads", defaults.heads)
    context = count(config, "max_position_embeddings", defaults.context)
    head_dim = _head_dim(config, width // heads, defaults.head_dim)
    if config.get("num_key_value_heads", defaults.kv_heads) is None:
        kv_heads = heads
    else:
        kv_heads = count(config, "num_key_value_heads", defaults.kv_heads or heads)
    bias = flag(config, "attention_bias", False)
    return DecoderConfig(
        vocab_size=count(config, "vocab_size", defaults.vocab),
        context_length=context,
        hidden_size=width,
        intermediate_size=count(config, "intermediate_size", defaults.inner),
        num_layers=count(config, "num_hidden_layers", defaults.layers, most=MOST_LAYERS),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        norm_epsilon=epsilon(config, "rms_norm_eps", defaults.epsilon),
        tie_word_embeddings=flag(config, "tie_word_embeddings", defaults.tied),
        token_embedding="embed_tokens.weight",
        position_embedding=None,
        prefix="model.",
        blocks="layers",
        rotary=parse_rotary(config, context, head_dim, theta=defaults.theta, share=defaults.share),
        activation=activation(config, "hidden_act", defaults.activation),
        query_bias=bias,
        attention_bias=bias,
        mlp_bias=flag(config, "mlp_bias", False),
    )


def _head_dim(config: dict[str, Any], even: int, default: int | None) -> int:
    """A head's width: where there is no default, null counts as missing."""
    if default is None:
        return even if config.get("head_dim") is None else count(config, "head_dim", 0)
    if config.get("head_dim", default) is None:
        raise VariantError("head_dim null")
    return count(config, "head_dim", default)


def window(config: dict[str, Any], default: int, context: int) -> int:
    """The width of a sliding window; no wider than the context: the kernels count in 32 bits."""
    return min(count(config, "sliding_window", default), context)


def llama(config: dict[str, Any]) -> DecoderConfig:
    return common(config, Defaults())


def mistral(config: dict[str, Any]) -> DecoderConfig:
    parsed = common(config, Defaults(context=131072, kv_heads=8, inner=14336))
    if config.get("layer_types") is not None:
        raise VariantError("layer_types")
    plain = replace(parsed, query_bias=False, attention_bias=False, mlp_bias=False)
    if config.get("sliding_window", 0) is None:
        return plain
    size = window(config, 4096, parsed.context_length)
    return replace(plain, windows=(size,) * parsed.num_layers)


def _qwen(config: dict[str, Any], defaults: Defaults) -> DecoderConfig:
    parsed, size = common(config, defaults), None
    if flag(config, "use_sliding_window", False) and config.get("sliding_window", 0) is not None:
        size = window(config, 4096, parsed.context_length)
    first = config.get("max_window_layers", 28)
    if type(first) is not int:
        raise VariantError("max_window_layers that is no integer")
    kinds = {"full_attention": None, "sliding_attention": size}
    usual = [
        "full_attention" if i < first else "sliding_attention" for i in range(parsed.num_layers)
    ]
    return replace(parsed, windows=layer_kinds(config, kinds, usual), mlp_bias=False)


_QWEN = Defaults(context=32768, kv_heads=32, vocab=151936, inner=22016)


def qwen2(config: dict[str, Any]) -> DecoderConfig:
    return replace(_qwen(config, _QWEN), query_bias=True, attention_bias=False)


def qwen3(config: dict[str, Any]) -> DecoderConfig:
    return replace(_qwen(config, _QWEN._replace(head_dim=128)), query_norm=True)


def smollm3(config: dict[str, Any]) -> DecoderConfig:
    defaults = Defaults(2048, 11008, 36, 16, 4, vocab=128256, context=32768, theta=2e6, tied=True)
    parsed, size = common(config, defaults), None
    layers = parsed.num_layers
    if flag(config, "use_sliding_window", False) and config.get("sliding_window") is not None:
        size = window(config, 0, parsed.context_length)
    interval = count(config, "no_rope_layer_interval", 4)
    rotated = config.get("no_rope_layers")  # 1 where a layer has it, in spite of the name
    if rotated is None:
        rotated = [int(i % interval != 0) for i in range(1, layers + 1)]
    if not isinstance(rotated, list) or len(rotated) < layers or set(rotated) - {0, 1}:
        raise VariantError(f"no_rope_layers of {shown(rotated)}")
    rotated = rotated[:layers]
    kinds = {"full_attention": None, "sliding_attention": size}
    usual = ["sliding_attention" if size and not has else "full_attention" for has in rotated]
    return replace(
        parsed, rotated=tuple(map(bool, rotated)), windows=layer_kinds(config, kinds, usual)
    )


def granite(config: dict[str, Any]) -> DecoderConfig:
    return replace(
        common(config, Defaults()),
        attention_scale=number(config, "attention_multiplier", 1),
        embedding_scale=number(config, "embedding_multiplier", 1),
        residual_scale=number(config, "residual_multiplier", 1),
        logit_scale=1 / number(config, "logits_scaling", 1),
    )


def olmo2(config: dict[str, Any]) -> DecoderConfig:
    return common(config | {"mlp_bias": False}, Defaults(vocab=50304, epsilon=1e-5))


def phi3(config: dict[str, Any]) -> DecoderConfig:
    defaults = Defaults(3072, 8192, vocab=32064, context=4096, epsilon=1e-5, share=1.0)
    parsed = common(config | {"attention_bias": False, "mlp_bias": False}, defaults)
    if config.get("sliding_window") is None:
        return parsed
    size = window(config, 0, parsed.context_length)
    return replace(parsed, windows=(size,) * parsed.num_layers)


def starcoder2(config: dict[str, Any]) -> DecoderConfig:
    bias = flag(config, "use_bias", True)
    config = renamed(config, {"norm_epsilon": "rms_norm_eps"})
    defaults = Defaults(
        *(3072, 12288, 30, 24, 2), vocab=49152, context=4096, epsilon=1e-5,
        activation="gelu_pytorch_tanh", tied=True,
    )  # fmt: skip
    parsed = common(config | {"attention_bias": bias, "mlp_bias": bias}, defaults)
    if config.get("sliding_window") is None:
        return parsed
    size = window(config, 0, parsed.context_length)
    return replace(parsed, windows=(size,) * parsed.num_layers)
