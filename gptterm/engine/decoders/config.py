"""What a model's config.json promises, and whether it is one that the native decoders compute.

Without torch, so that it can be told before an engine starts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gptterm.errors import ModelError


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The numbers that the native decoders' forward passes depend on, by one name each.

    Raises:
        ModelError: the heads do not share the width evenly.
    """

    vocab_size: int
    context_length: int
    width: int
    """Numbers in a token's hidden state."""
    inner: int
    """Numbers in the hidden layer of a block's MLP."""
    layers: int
    heads: int
    epsilon: float
    """Of the layer norms."""
    tied: bool
    """Whether the head is the token embedding."""
    windows: tuple[int | None, ...] = ()
    """GPT-Neo's: how many tokens each layer looks at, None for all."""

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ModelError(
                f"config.json: the width {self.width} is not a multiple of the {self.heads} heads"
            )

    @property
    def head_dim(self) -> int:
        return self.width // self.heads


# gelu_new is GELU's tanh approximation (Hendrycks and Gimpel, 2016).
_ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh")


def read(config: dict[str, Any]) -> Sizes | None:
    """The sizes in a config.json; None if it describes an architecture, or a variant of one, that
    is not computed natively.

    Raises:
        ModelError: a size is no size.
    """
    model_type = config.get("model_type")
    reader = _READERS.get(model_type) if isinstance(model_type, str) else None
    return None if reader is None or "quantization_config" in config else reader(config)


def _size(config: dict[str, Any], name: str, default: int) -> int:
    """A number of config.json that counts something.

    Raises:
        ModelError: it does not.
    """
    value = config.get(name, default)
    if type(value) is not int or value < 1:
        raise ModelError(f"config.json: {name} must be a positive integer, not {value!r}")
    return value


def _epsilon(config: dict[str, Any]) -> float:
    """What config.json says is added to a layer norm's variance.

    Raises:
        ModelError: no number.
    """
    value = config.get("layer_norm_epsilon", 1e-5)
    if type(value) not in (int, float):
        raise ModelError(f"config.json: layer_norm_epsilon must be a number, not {value!r}")
    return float(value)


def _gpt1(config: dict[str, Any]) -> Sizes | None:
    if config.get("afn", "gelu") != "gelu":  # by which it means gelu_new
        return None
    width = _size(config, "n_embd", 768)
    return Sizes(
        vocab_size=_size(config, "vocab_size", 40478),
        context_length=_size(config, "n_positions", 512),
        width=width,
        inner=4 * width,
        layers=_size(config, "n_layer", 12),
        heads=_size(config, "n_head", 12),
        epsilon=_epsilon(config),
        tied=bool(config.get("tie_word_embeddings", True)),
    )


def _gpt2(config: dict[str, Any]) -> Sizes | None:
    variant = (
        config.get("activation_function", "gelu_new") not in _ACTIVATIONS
        or not config.get("scale_attn_weights", True)
        or config.get("scale_attn_by_inverse_layer_idx", False)
        or config.get("reorder_and_upcast_attn", False)
        or config.get("add_cross_attention", False)
    )
    if variant:
        return None
    width = _size(config, "n_embd", 768)
    return Sizes(
        vocab_size=_size(config, "vocab_size", 50257),
        context_length=_size(config, "n_positions", 1024),
        width=width,
        inner=4 * width if config.get("n_inner") is None else _size(config, "n_inner", 0),
        layers=_size(config, "n_layer", 12),
        heads=_size(config, "n_head", 12),
        epsilon=_epsilon(config),
        tied=bool(config.get("tie_word_embeddings", True)),
    )


def _gpt_neo(config: dict[str, Any]) -> Sizes | None:
    layers = _size(config, "num_layers", 24)
    kinds = _attention_kinds(config, layers)
    if kinds is None or config.get("activation_function", "gelu_new") not in _ACTIVATIONS:
        return None
    width, window = _size(config, "hidden_size", 2048), _size(config, "window_size", 256)
    inner = config.get("intermediate_size")
    return Sizes(
        vocab_size=_size(config, "vocab_size", 50257),
        context_length=_size(config, "max_position_embeddings", 2048),
        width=width,
        inner=4 * width if inner is None else _size(config, "intermediate_size", 0),
        layers=layers,
        heads=_size(config, "num_heads", 16),
        epsilon=_epsilon(config),
        tied=bool(config.get("tie_word_embeddings", True)),
        windows=tuple(window if kind == "local" else None for kind in kinds),
    )


def _attention_kinds(config: dict[str, Any], layers: int) -> list[Any] | None:
    """Each layer's kind of attention; None if config.json does not give it in a form known here.

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


_READERS: dict[str, Callable[[dict[str, Any]], Sizes | None]] = {
    "openai-gpt": _gpt1,
    "gpt2": _gpt2,
    "gpt_neo": _gpt_neo,
}
