"""Parse config.json into the hyper-parameters of a native decoder.

Imports no torch: the check of a model needs no engine.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gptterm.errors import ModelError
from gptterm.format import shorten

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
    layer_norm_epsilon: float
    tie_word_embeddings: bool
    """Whether the LM head shares the token embedding's weights."""
    token_embedding: str = "wte.weight"
    """Name of these weights, without the prefix `transformer.`; likewise the next one."""
    position_embedding: str = "wpe.weight"
    windows: tuple[int | None, ...] = ()
    """Attention window of each layer, in tokens, None for all; GPT-Neo only."""

    def __post_init__(self) -> None:
        if self.context_length < SHORTEST_CONTEXT:
            raise ModelError(
                f"config.json: a context of {self.context_length} token has no room for a reply"
            )
        if self.hidden_size % self.num_heads:
            raise ModelError(
                f"config.json: the width {self.hidden_size} is not a multiple of"
                f" the {self.num_heads} heads"
            )
        sizes = [window for window in self.windows if window is not None]
        if self.windows and (len(self.windows) != self.num_layers or min(sizes, default=1) < 1):
            windows = _shown(self.windows)
            raise ModelError(
                f"config.json: attention windows {windows} for {self.num_layers} layers"
            )

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_heads


HEAD = "lm_head.weight"
"""Name of the LM head's weights where it has its own."""

# gelu_new is GELU's tanh approximation (Hendrycks and Gimpel, 2016).
_ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh")
_LAYER = re.compile(r"(?:transformer\.)?h\.(\d{1,9})\.")


def parse_config(config: dict[str, Any]) -> DecoderConfig | None:
    """Parse a config.json; None for an architecture, or a variant, without a native decoder.

    Raises:
        ModelError: a hyper-parameter is out of range or of another type.
    """
    model_type = config.get("model_type")
    parse = _PARSERS.get(model_type) if isinstance(model_type, str) else None
    if parse is None or "quantization_config" in config:
        return None
    names = _NEO_NAMES if parse is _gpt_neo else _GPT_NAMES
    return parse(config | {ours: config[name] for name, ours in names.items() if name in config})


def check_weight_shapes(config: DecoderConfig, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Hold sizes against the weights' shapes, by name, with the prefix `transformer.` or without.

    Raises:
        ModelError: they are not those of one model.
    """
    held = 1 + max((int(i[1]) for i in map(_LAYER.match, shapes) if i), default=-1)
    if held != config.num_layers:
        other = f"up to h.{held - 1}.*" if held > config.num_layers else f"but no h.{held}.*"
        raise ModelError(
            f"config.json has {config.num_layers} layers, the weights hold {held} ({other}); the"
            " files do not belong together: fetch the model again"
        )
    vocabulary = (config.vocab_size, config.hidden_size)
    expected = {
        config.token_embedding: vocabulary,
        config.position_embedding: (config.context_length, config.hidden_size),
        HEAD: vocabulary,
    }
    for name, shape in expected.items():
        found = shapes.get(name, shapes.get(f"transformer.{name}", shape))
        if found != shape:
            raise ModelError(
                f"config.json has {name} of shape {shape}, the weights hold {found}; the files do"
                " not belong together: fetch the model again"
            )


def _count(config: dict[str, Any], name: str, default: int) -> int:
    """A positive integer of 31 bits.

    Raises:
        ModelError: it is something else.
    """
    value = config.get(name, default)
    if type(value) is not int or not 0 < value < 2**31:
        raise ModelError(f"config.json: {name} must be a positive integer, not {_shown(value)}")
    return value


def _epsilon(config: dict[str, Any]) -> float:
    """The layer norms' epsilon.

    Raises:
        ModelError: it is no number.
    """
    value = config.get("layer_norm_epsilon", 1e-5)
    if type(value) not in (int, float) or not 0 <= value < math.inf:
        raise ModelError(
            f"config.json: layer_norm_epsilon must be a number from 0, not {_shown(value)}"
        )
    return float(value)


def _flag(config: dict[str, Any], name: str, default: bool) -> bool:
    """A boolean.

    Raises:
        ModelError: it is something else.
    """
    value = config.get(name, default)
    if not isinstance(value, bool):
        raise ModelError(f"config.json: {name} must be true or false, not {_shown(value)}")
    return value


def _shown(value: object) -> str:
    """A value of config.json, for messages."""
    return shorten(repr(value), 40)


def _gpt1(config: dict[str, Any]) -> DecoderConfig | None:
    if config.get("afn", "gelu") != "gelu":  # by which it means gelu_new
        return None
    width = _count(config, "n_embd", 768)
    return DecoderConfig(
        vocab_size=_count(config, "vocab_size", 40478),
        context_length=_count(config, "n_positions", 512),
        hidden_size=width,
        intermediate_size=4 * width,
        num_layers=_count(config, "n_layer", 12),
        num_heads=_count(config, "n_head", 12),
        layer_norm_epsilon=_epsilon(config),
        tie_word_embeddings=_flag(config, "tie_word_embeddings", True),
        token_embedding="tokens_embed.weight",
        position_embedding="positions_embed.weight",
    )


def _gpt2(config: dict[str, Any]) -> DecoderConfig | None:
    variant = (
        config.get("activation_function", "gelu_new") not in _ACTIVATIONS
        or not _flag(config, "scale_attn_weights", True)
        or _flag(config, "scale_attn_by_inverse_layer_idx", False)
        or _flag(config, "reorder_and_upcast_attn", False)
        or _flag(config, "add_cross_attention", False)
    )
    if variant:
        return None
    width, inner = _count(config, "n_embd", 768), config.get("n_inner")
    return DecoderConfig(
        vocab_size=_count(config, "vocab_size", 50257),
        context_length=_count(config, "n_positions", 1024),
        hidden_size=width,
        intermediate_size=4 * width if inner is None else _count(config, "n_inner", 0),
        num_layers=_count(config, "n_layer", 12),
        num_heads=_count(config, "n_head", 12),
        layer_norm_epsilon=_epsilon(config),
        tie_word_embeddings=_flag(config, "tie_word_embeddings", True),
    )


def _gpt_neo(config: dict[str, Any]) -> DecoderConfig | None:
    layers = _count(config, "num_layers", 24)
    kinds = _attention_kinds(config, layers)
    if kinds is None or config.get("activation_function", "gelu_new") not in _ACTIVATIONS:
        return None
    context = _count(config, "max_position_embeddings", 2048)
    width, window = _count(config, "hidden_size", 2048), _count(config, "window_size", 256)
    inner = config.get("intermediate_size")
    return DecoderConfig(
        vocab_size=_count(config, "vocab_size", 50257),
        context_length=context,
        hidden_size=width,
        intermediate_size=4 * width if inner is None else _count(config, "intermediate_size", 0),
        num_layers=layers,
        num_heads=_count(config, "num_heads", 16),
        layer_norm_epsilon=_epsilon(config),
        tie_word_embeddings=_flag(config, "tie_word_embeddings", True),
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


_GPT_NAMES = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
}
"""Other names for the same, which win over their own where both are given: transformers'
`attribute_map`."""
_NEO_NAMES = {"num_attention_heads": "num_heads", "num_hidden_layers": "num_layers"}

_PARSERS: dict[str, Callable[[dict[str, Any]], DecoderConfig | None]] = {
    "openai-gpt": _gpt1,
    "gpt2": _gpt2,
    "gpt_neo": _gpt_neo,
}
