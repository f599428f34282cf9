"""Architectures whose attention and MLP may read the same input: their config.json.

GPT-J, GPT-NeoX, Phi 1 and 2, Falcon, StableLM.
"""

from typing import Any

from msgspec.structs import replace

from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.config_parsers.gpt import GPT_NAMES
from gptterm.engine.decoders.config_parsers.llama import MOST_LAYERS, Defaults, common
from gptterm.engine.decoders.config_values import (
    VariantError,
    activation,
    count,
    epsilon,
    flag,
    renamed,
)
from gptterm.engine.decoders.rotary import Rotary, parse_rotary

_EVERY_HEAD: dict[str, Any] = {"head_dim": None, "num_key_value_heads": None}
"""Settings of Llama's that these architectures do not have."""


def gpt_neox(config: dict[str, Any]) -> DecoderConfig:
    config = renamed(config | _EVERY_HEAD, {"layer_norm_eps": "rms_norm_eps"})
    bias = flag(config, "attention_bias", True)
    rotary = {
        "rope_theta": config.get("rotary_emb_base", 10_000.0),
        "partial_rotary_factor": config.get("rotary_pct", 0.25),
    }
    defaults = Defaults(
        *(6144, 24576, 44, 64), vocab=50432, epsilon=1e-5, activation="gelu", share=0.25
    )
    return replace(
        common(config | rotary | {"mlp_bias": True}, defaults),
        token_embedding="embed_in.weight",
        own_head="embed_out.weight",
        prefix="gpt_neox.",
        parallel=flag(config, "use_parallel_residual", True),
        attention_bias=bias,
    )


def gptj(config: dict[str, Any]) -> DecoderConfig:
    config = renamed(config, GPT_NAMES)
    width, heads = count(config, "n_embd", 4096), count(config, "n_head", 16)
    inner, turned = config.get("n_inner"), config.get("rotary_dim", 64)
    head_dim = width // heads
    if type(turned) is not int or turned % 2 or not 0 < turned <= head_dim:
        raise VariantError("a rotary_dim that is no even part of a head")
    return DecoderConfig(
        vocab_size=count(config, "vocab_size", 50400),
        context_length=count(config, "n_positions", 2048),
        hidden_size=width,
        intermediate_size=4 * width if inner is None else count(config, "n_inner", 0),
        num_layers=count(config, "n_layer", 28, most=MOST_LAYERS),
        num_heads=heads,
        norm_epsilon=epsilon(config, "layer_norm_epsilon", 1e-5),
        tie_word_embeddings=flag(config, "tie_word_embeddings", False),
        position_embedding=None,
        # Half a number more, so that the product with head_dim is never below it.
        rotary=Rotary(theta=10_000.0, share=(turned + 0.5) / head_dim, neighbours=True),
        activation=activation(config, "activation_function", "gelu_new"),
    )


def phi(config: dict[str, Any]) -> DecoderConfig:
    if flag(config, "qk_layernorm", False):
        raise VariantError("norms of queries and keys")
    config = renamed(config | {"attention_bias": True}, {"layer_norm_eps": "rms_norm_eps"})
    defaults = Defaults(
        *(2048, 8192, 24, 32), vocab=51200, epsilon=1e-5, activation="gelu_new", share=0.5
    )
    return common(config | {"mlp_bias": True}, defaults)


def stablelm(config: dict[str, Any]) -> DecoderConfig:
    if flag(config, "qk_layernorm", False):
        raise VariantError("norms of queries and keys")
    bias = flag(config, "use_qkv_bias", False)
    config = renamed(config | {"head_dim": None}, {"layer_norm_eps": "rms_norm_eps"})
    defaults = Defaults(
        *(2560, 6912, 32, 32, 32), vocab=50304, context=4096, epsilon=1e-5, share=0.25
    )
    parsed = common(config | {"attention_bias": False, "mlp_bias": False}, defaults)
    _need_whole_heads(parsed)
    parallel = flag(config, "use_parallel_residual", False)
    return replace(parsed, query_bias=bias, parallel=parallel)


def falcon(config: dict[str, Any]) -> DecoderConfig:
    if flag(config, "alibi", False):
        raise VariantError("distances in place of rotary embedding, in bfloat16")
    config = renamed(config, {"n_embed": "hidden_size"})
    width, heads = count(config, "hidden_size", 4544), count(config, "num_attention_heads", 71)
    context = count(config, "max_position_embeddings", 2048)
    grouped, inner = flag(config, "new_decoder_architecture", False), config.get("ffn_hidden_size")
    shared = flag(config, "multi_query", True) and not grouped
    kv_heads = config.get("num_kv_heads")
    kv_heads = heads if kv_heads is None else count(config, "num_kv_heads", heads)
    if not grouped and not shared and kv_heads != heads:
        raise VariantError("groups of heads in the old architecture")
    parallel = flag(config, "parallel_attn", True)
    norms = config.get("num_ln_in_parallel_attn")
    norms = (2 if grouped else 1) if norms is None else norms
    if norms not in (1, 2) or (grouped and not parallel) or (norms == 2 and not grouped):
        raise VariantError("an unusual order of norms")
    head_dim = width // heads
    parsed = DecoderConfig(
        vocab_size=count(config, "vocab_size", 65024),
        context_length=context,
        hidden_size=width,
        intermediate_size=4 * width if inner is None else count(config, "ffn_hidden_size", 0),
        num_layers=count(config, "num_hidden_layers", 32, most=MOST_LAYERS),
        num_heads=heads,
        num_kv_heads=1 if shared else kv_heads,
        head_dim=head_dim,
        norm_epsilon=epsilon(config, "layer_norm_epsilon", 1e-5),
        tie_word_embeddings=flag(config, "tie_word_embeddings", True),
        token_embedding="word_embeddings.weight",
        position_embedding=None,
        rotary=parse_rotary(config, context, head_dim),
        activation=activation(config, "activation", "gelu"),
        attention_bias=flag(config, "bias", False),
        parallel=parallel,
        two_norms=norms == 2,
    )
    _need_whole_heads(parsed)
    return parsed


def _need_whole_heads(config: DecoderConfig) -> None:
    if config.num_heads * config.head_dim != config.hidden_size:
        raise VariantError("a width that is not a multiple of the heads")
