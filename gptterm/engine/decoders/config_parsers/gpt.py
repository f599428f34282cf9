"""GPT-1, GPT-2, GPT-Neo, OPT and BLOOM: their config.json."""

from typing import Any

from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.config_values import (
    VariantError,
    activation,
    count,
    epsilon,
    flag,
    renamed,
)

GPT_NAMES = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}
_NEO_NAMES = {"num_attention_heads": "num_heads", "num_hidden_layers": "num_layers"}


def gpt1(config: dict[str, Any]) -> DecoderConfig:
    config = renamed(config, GPT_NAMES)
    if config.get("afn", "gelu") != "gelu":  # by which it means gelu_new
        raise VariantError("an activation other than GELU's approximation")
    width = count(config, "n_embd", 768)
    return DecoderConfig(
        vocab_size=count(config, "vocab_size", 40478),
        context_length=count(config, "n_positions", 512),
        hidden_size=width,
        intermediate_size=4 * width,
        num_layers=count(config, "n_layer", 12),
        num_heads=count(config, "n_head", 12),
        norm_epsilon=epsilon(config, "layer_norm_epsilon", 1e-5),
        tie_word_embeddings=flag(config, "tie_word_embeddings", True),
        input_first=True,
        token_embedding="tokens_embed.weight",
        position_embedding="positions_embed.weight",
    )


def gpt2(config: dict[str, Any]) -> DecoderConfig:
    config = renamed(config, GPT_NAMES)
    _need_tanh(config)
    if not flag(config, "scale_attn_weights", True):
        raise VariantError("attention scores that are not scaled")
    for name in (
        "scale_attn_by_inverse_layer_idx",
        "reorder_and_upcast_attn",
        "add_cross_attention",
    ):
        if flag(config, name, False):
            raise VariantError(name)
    width, inner = count(config, "n_embd", 768), config.get("n_inner")
    return DecoderConfig(
        vocab_size=count(config, "vocab_size", 50257),
        context_length=count(config, "n_positions", 1024),
        hidden_size=width,
        intermediate_size=4 * width if inner is None else count(config, "n_inner", 0),
        num_layers=count(config, "n_layer", 12),
        num_heads=count(config, "n_head", 12),
        norm_epsilon=epsilon(config, "layer_norm_epsilon", 1e-5),
        tie_word_embeddings=flag(config, "tie_word_embeddings", True),
        input_first=True,
    )


def gpt_neo(config: dict[str, Any]) -> DecoderConfig:
    config = renamed(config, _NEO_NAMES)
    layers = count(config, "num_layers", 24)
    kinds = _attention_kinds(config, layers)
    _need_tanh(config)
    if kinds is None:
        raise VariantError("kinds of attention in an unknown form")
    context = count(config, "max_position_embeddings", 2048)
    width, window = count(config, "hidden_size", 2048), count(config, "window_size", 256)
    inner = config.get("intermediate_size")
    return DecoderConfig(
        vocab_size=count(config, "vocab_size", 50257),
        context_length=context,
        hidden_size=width,
        intermediate_size=4 * width if inner is None else count(config, "intermediate_size", 0),
        num_layers=layers,
        num_heads=count(config, "num_heads", 16),
        norm_epsilon=epsilon(config, "layer_norm_epsilon", 1e-5),
        tie_word_embeddings=flag(config, "tie_word_embeddings", True),
        # No wider than the context: the kernels count in 32 bits.
        windows=tuple(min(window, context) if kind == "local" else None for kind in kinds),
    )


def _attention_kinds(config: dict[str, Any], layers: int) -> list[Any] | None:
    """Each layer's kind of attention, global or local; None if it is given in no known form.

    `attention_layers` names them one by one, `attention_types` in groups: [[[kind, …], times], …].
    """
    kinds = config.get("attention_layers")
    if kinds is None:
        kinds = []
        try:
            for names, times in config.get("attention_types") or [[["global", "local"], 12]]:
                if len(kinds) + len(names) * times > layers:
                    return None
                kinds += list(names) * times
        except (TypeError, ValueError):
            return None
    known = isinstance(kinds, list) and all(kind in ("global", "local") for kind in kinds)
    return kinds if known and len(kinds) == layers else None


def _need_tanh(config: dict[str, Any]) -> None:
    if activation(config, "activation_function", "gelu_new") != "gelu_tanh":
        raise VariantError("an activation other than GELU's approximation")


def opt(config: dict[str, Any]) -> DecoderConfig:
    width = count(config, "hidden_size", 768)
    embedded = config.get("word_embed_proj_dim")
    if embedded is not None and embedded != width:
        raise VariantError("embeddings of another width")
    if not flag(config, "do_layer_norm_before", True):
        raise VariantError("norms behind attention and MLP")
    if flag(config, "_remove_final_layer_norm", False):
        raise VariantError("no norm at the end")
    if not flag(config, "layer_norm_elementwise_affine", True):
        raise VariantError("norms without weights")
    return DecoderConfig(
        vocab_size=count(config, "vocab_size", 50272),
        context_length=count(config, "max_position_embeddings", 2048),
        hidden_size=width,
        intermediate_size=count(config, "ffn_dim", 3072),
        num_layers=count(config, "num_hidden_layers", 12, most=10_000),
        num_heads=count(config, "num_attention_heads", 12),
        norm_epsilon=1e-5,
        tie_word_embeddings=flag(config, "tie_word_embeddings", True),
        token_embedding="embed_tokens.weight",
        position_embedding=None,  # whose table has more rows than positions
        prefix="model.decoder.",
        blocks="layers",
        activation=activation(config, "activation_function", "relu"),
        attention_bias=flag(config, "enable_bias", True),
    )


def bloom(config: dict[str, Any]) -> DecoderConfig:
    names = {"num_hidden_layers": "n_layer", "num_attention_heads": "n_head"}
    config = renamed(config, names | {"n_embed": "hidden_size"})
    for name in ("apply_residual_connection_post_layernorm", "slow_but_exact"):
        if flag(config, name, False):
            raise VariantError(name)
    width = count(config, "hidden_size", 64)
    return DecoderConfig(
        vocab_size=count(config, "vocab_size", 250880),
        # It has no limit; `seq_length` is that of the training.
        context_length=count(config, "seq_length", 8192),
        hidden_size=width,
        intermediate_size=4 * width,
        num_layers=count(config, "n_layer", 2, most=10_000),
        num_heads=count(config, "n_head", 8),
        norm_epsilon=epsilon(config, "layer_norm_epsilon", 1e-5),
        tie_word_embeddings=flag(config, "tie_word_embeddings", True),
        token_embedding="word_embeddings.weight",
        position_embedding=None,
        activation="gelu_tanh",
    )
