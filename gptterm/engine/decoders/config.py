"""Parse config.json into the hyper-parameters of a native decoder.

Imports no torch: the check of a model needs no engine.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gptterm.errors import ModelError


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """Hyper-parameters of a native decoder, under one name for all architectures.

    Raises:
        ModelError: hidden_size is not a multiple of num_heads, or windows do not fit the layers.
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
    windows: tuple[int | None, ...] = ()
    """Attention window of each layer, in tokens, None for all; GPT-Neo only."""

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_heads:
            raise ModelError(
                f"config.json: the width {self.hidden_size} is not a multiple of"
                f" the {self.num_heads} heads"
            )
        sizes = [window for window in self.windows if window is not None]
        if self.windows and (len(self.windows) != self.num_layers or min(sizes, default=1) < 1):
            raise ModelError(
                f"config.json: attention windows {self.windows} for {self.num_layers} layers"
            )

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_heads


# gelu_new is GELU's tanh approximation (Hendrycks and Gimpel, 2016).
_ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh")


def parse_config(config: dict[str, Any]) -> DecoderConfig | None:
    """Parse a config.json; None for an architecture, or a variant, without a native decoder.

    Raises:
        ModelError: a hyper-parameter is out of range or of another type.
    """
    model_type = config.get("model_type")
    parse = _PARSERS.get(model_type) if isinstance(model_type, str) else None
    return None if parse is None or "quantization_config" in config else parse(config)


def _count(config: dict[str, Any], name: str, default: int) -> int:
    """A positive integer.

    Raises:
        ModelError: it is something else.
    """
    value = config.get(name, default)
    if type(value) is not int or value < 1:
        raise ModelError(f"config.json: {name} must be a positive integer, not {value!r}")
    return value


def _epsilon(config: dict[str, Any]) -> float:
    """The layer norms' epsilon.

    Raises:
        ModelError: it is no number.
    """
    value = config.get("layer_norm_epsilon", 1e-5)
    if type(value) not in (int, float):
        raise ModelError(f"config.json: layer_norm_epsilon must be a number, not {value!r}")
    return float(value)


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
        tie_word_embeddings=bool(config.get("tie_word_embeddings", True)),
    )


def _gpt2(config: dict[str, Any]) -> DecoderConfig | None:
    variant = (
        config.get("activation_function", "gelu_new") not in _ACTIVATIONS
        or not config.get("scale_attn_weights", True)
        or config.get("scale_attn_by_inverse_layer_idx", False)
        or config.get("reorder_and_upcast_attn", False)
        or config.get("add_cross_attention", False)
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
        tie_word_embeddings=bool(config.get("tie_word_embeddings", True)),
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
        tie_word_embeddings=bool(config.get("tie_word_embeddings", True)),
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
                for _ in range(min(times, layers)):
                    kinds += names
        except (TypeError, ValueError):
            return None
    known = isinstance(kinds, list) and all(kind in ("global", "local") for kind in kinds)
    return kinds if known and len(kinds) == layers else None


_PARSERS: dict[str, Callable[[dict[str, Any]], DecoderConfig | None]] = {
    "openai-gpt": _gpt1,
    "gpt2": _gpt2,
    "gpt_neo": _gpt_neo,
}
