"""Parse config.json into the hyper-parameters of a native decoder.

Imports no torch: the check of a model needs no engine.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import force_setattr, replace

from gptterm.engine.decoders.config_values import count, epsilon, flag, shown
from gptterm.engine.decoders.rotary import Rotary, parse_rotary
from gptterm.errors import ModelError

SHORTEST_CONTEXT = 2
"""Tokens: one of a prompt, one of a reply."""


class DecoderConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Hyper-parameters of a native decoder, under one name for all architectures.

    Raises:
        ModelError: hidden_size is not a multiple of num_heads, windows do not fit the layers, or
            the context has no room for a reply.
    """

    vocab_size: int
    context_length: int
    hidden_size: int
    intermediate_size: int
    """Of a block's MLP."""
    num_layers: int
    num_heads: int
    norm_epsilon: float
    tie_word_embeddings: bool
    """Whether the LM head shares the token embedding's weights."""
    token_embedding: str = "wte.weight"
    """Name of these weights, without the prefix; likewise the next one."""
    position_embedding: str | None = "wpe.weight"
    """None if there are none: rotary embedding."""
    prefix: str = "transformer."
    """Of the weights' names in files with an LM head."""
    blocks: str = "h"
    """Of the blocks' names, before their numbers."""
    windows: tuple[int | None, ...] = ()
    """Attention window of each layer, in tokens, None for all; empty if none has one."""
    num_kv_heads: int = 0
    """Heads of keys and values, each for as many query heads; 0 stands for `num_heads`."""
    head_dim: int = 0
    """0 stands for hidden_size / num_heads."""
    rotary: Rotary | None = None
    query_bias: bool = False
    """Whether queries, keys and values have biases; likewise the next ones."""
    attention_bias: bool = False
    mlp_bias: bool = False
    query_norm: bool = False
    """Whether each head's queries and keys are normalised."""

    def __post_init__(self) -> None:
        if self.context_length < SHORTEST_CONTEXT:
            raise ModelError(
                f"config.json: a context of {self.context_length} token has no room for a reply"
            )
        if not self.num_kv_heads:
            force_setattr(self, "num_kv_heads", self.num_heads)
        if self.num_heads % self.num_kv_heads:
            raise ModelError(
                f"config.json: {self.num_heads} heads cannot share the keys and values of"
                f" {self.num_kv_heads}"
            )
        if not self.head_dim and self.hidden_size % self.num_heads:
            raise ModelError(
                f"config.json: the width {self.hidden_size} is not a multiple of"
                f" the {self.num_heads} heads"
            )
        if not self.head_dim:
            force_setattr(self, "head_dim", self.hidden_size // self.num_heads)
        sizes = [window for window in self.windows if window is not None]
        if self.windows and (len(self.windows) != self.num_layers or min(sizes, default=1) < 1):
            windows = shown(self.windows)
            raise ModelError(
                f"config.json: attention windows {windows} for {self.num_layers} layers"
            )


HEAD = "lm_head.weight"
"""Name of the LM head's weights where it has its own."""

# gelu_new is GELU's tanh approximation (Hendrycks and Gimpel, 2016).
_ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh")


def parse_config(config: dict[str, Any]) -> DecoderConfig | None:
    """Parse a config.json; None for an architecture, or a variant, without a native decoder.

    Raises:
        ModelError: a hyper-parameter is out of range or of another type.
    """
    model_type = config.get("model_type")
    parse = _PARSERS.get(model_type) if isinstance(model_type, str) else None
    if parse is None or "quantization_config" in config:
        return None
    names = _NAMES.get(str(model_type), {})
    return parse(config | {ours: config[name] for name, ours in names.items() if name in config})


def check_weight_shapes(config: DecoderConfig, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Hold sizes against the weights' shapes, by name, with the config's prefix or without.

    Raises:
        ModelError: they are not those of one model.
    """
    block = re.compile(rf"(?:{re.escape(config.prefix)})?{config.blocks}\.(\d{{1,9}})\.")
    held = 1 + max((int(i[1]) for i in map(block.match, shapes) if i), default=-1)
    if held != config.num_layers:
        is_more = held > config.num_layers
        other = (
            f"up to {config.blocks}.{held - 1}.*" if is_more else f"but no {config.blocks}.{held}.*"
        )
        raise ModelError(
            f"config.json has {config.num_layers} layers, the weights hold {held} ({other}); the"
            " files do not belong together: fetch the model again"
        )
    vocabulary = (config.vocab_size, config.hidden_size)
    expected = {config.token_embedding: vocabulary, HEAD: vocabulary}
    if config.position_embedding is not None:
        expected[config.position_embedding] = (config.context_length, config.hidden_size)
    for name, shape in expected.items():
        found = shapes.get(name, shapes.get(config.prefix + name, shape))
        if found != shape:
            raise ModelError(
                f"config.json has {name} of shape {shape}, the weights hold {found}; the files do"
                " not belong together: fetch the model again"
            )


def _gpt1(config: dict[str, Any]) -> DecoderConfig | None:
    if config.get("afn", "gelu") != "gelu":  # by which it means gelu_new
        return None
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
        token_embedding="tokens_embed.weight",
        position_embedding="positions_embed.weight",
    )


def _gpt2(config: dict[str, Any]) -> DecoderConfig | None:
    variant = (
        config.get("activation_function", "gelu_new") not in _ACTIVATIONS
        or not flag(config, "scale_attn_weights", True)
        or flag(config, "scale_attn_by_inverse_layer_idx", False)
        or flag(config, "reorder_and_upcast_attn", False)
        or flag(config, "add_cross_attention", False)
    )
    if variant:
        return None
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
    )


def _gpt_neo(config: dict[str, Any]) -> DecoderConfig | None:
    layers = count(config, "num_layers", 24)
    kinds = _attention_kinds(config, layers)
    if kinds is None or config.get("activation_function", "gelu_new") not in _ACTIVATIONS:
        return None
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


_MOST_LAYERS = 10_000


def _llama(
    config: dict[str, Any],
    *,
    context: int,
    kv_heads: int | None,
    vocab: int = 32000,
    inner: int = 11008,
    head_dim: int | None = None,
) -> DecoderConfig | None:
    """Llama's hyper-parameters; the arguments are a relative's defaults."""
    width, heads = count(config, "hidden_size", 4096), count(config, "num_attention_heads", 32)
    context = count(config, "max_position_embeddings", context)
    if head_dim is None:  # null counts as missing
        head_dim = (
            width // heads if config.get("head_dim") is None else count(config, "head_dim", 0)
        )
    elif config.get("head_dim", head_dim) is None:
        return None
    else:
        head_dim = count(config, "head_dim", head_dim)
    if config.get("num_key_value_heads", kv_heads) is None:
        kv_heads = heads
    else:
        kv_heads = count(config, "num_key_value_heads", kv_heads or heads)
    rotary = parse_rotary(config, context)
    if rotary is None or head_dim % 2 or config.get("hidden_act", "silu") != "silu":
        return None
    bias = flag(config, "attention_bias", False)
    return DecoderConfig(
        vocab_size=count(config, "vocab_size", vocab),
        context_length=context,
        hidden_size=width,
        intermediate_size=count(config, "intermediate_size", inner),
        num_layers=count(config, "num_hidden_layers", 32, most=_MOST_LAYERS),
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        norm_epsilon=epsilon(config, "rms_norm_eps", 1e-6),
        tie_word_embeddings=flag(config, "tie_word_embeddings", False),
        token_embedding="embed_tokens.weight",
        position_embedding=None,
        prefix="model.",
        blocks="layers",
        rotary=rotary,
        query_bias=bias,
        attention_bias=bias,
        mlp_bias=flag(config, "mlp_bias", False),
    )


def _mistral(config: dict[str, Any]) -> DecoderConfig | None:
    parsed = _llama(config, context=131072, kv_heads=8, inner=14336)
    if parsed is None or config.get("layer_types") is not None:
        return None
    plain = replace(parsed, query_bias=False, attention_bias=False, mlp_bias=False)
    if config.get("sliding_window", 0) is None:
        return plain
    window = min(count(config, "sliding_window", 4096), parsed.context_length)
    return replace(plain, windows=(window,) * parsed.num_layers)


def _qwen(config: dict[str, Any], *, head_dim: int | None) -> DecoderConfig | None:
    """Qwen 3 if it has a default for `head_dim`, Qwen 2 otherwise."""
    parsed = _llama(
        config, context=32768, kv_heads=32, vocab=151936, inner=22016, head_dim=head_dim
    )
    if parsed is None:
        return None
    is_qwen3, layers, window = head_dim is not None, parsed.num_layers, None
    if flag(config, "use_sliding_window", False) and config.get("sliding_window", 0) is not None:
        window = min(count(config, "sliding_window", 4096), parsed.context_length)
    first = config.get("max_window_layers", 28)
    if type(first) is not int:
        return None
    kinds = config.get("layer_types")
    if kinds is None:
        kinds = ["full_attention" if i < first else "sliding_attention" for i in range(layers)]
    windows = {"full_attention": None, "sliding_attention": window}
    if (
        not isinstance(kinds, list)
        or len(kinds) != layers
        or not all(isinstance(kind, str) and kind in windows for kind in kinds)
    ):
        return None
    return replace(
        parsed,
        windows=tuple(windows[kind] for kind in kinds),
        query_bias=parsed.query_bias if is_qwen3 else True,
        attention_bias=parsed.attention_bias if is_qwen3 else False,
        mlp_bias=False,
        query_norm=is_qwen3,
    )


_GPT_NAMES = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}
"""Other names for the same, which win over their own where both are given: transformers'
`attribute_map`."""
_NAMES = {
    "openai-gpt": _GPT_NAMES,
    "gpt2": _GPT_NAMES,
    "gpt_neo": {"num_attention_heads": "num_heads", "num_hidden_layers": "num_layers"},
}

_PARSERS: dict[str, Callable[[dict[str, Any]], DecoderConfig | None]] = {
    "openai-gpt": _gpt1,
    "gpt2": _gpt2,
    "gpt_neo": _gpt_neo,
    "llama": lambda config: _llama(config, context=2048, kv_heads=None),
    "mistral": _mistral,
    "qwen2": lambda config: _qwen(config, head_dim=None),
    "qwen3": lambda config: _qwen(config, head_dim=128),
}

NATIVE_TYPES = frozenset(_PARSERS)
"""Values of model_type for which there are native decoders, for most variants."""
