"""Hyper-parameters of a native decoder, which `config_parsers` parse config.json into.

Imports no torch: the check of a model needs no engine.
"""

import re
from collections.abc import Mapping

import msgspec
from msgspec.structs import force_setattr

from gptterm.engine.decoders.config_values import ActivationName, shown
from gptterm.engine.decoders.rotary import Rotary
from gptterm.engine.item_sizes import cache_row_size
from gptterm.errors import ModelError

HEAD = "lm_head.weight"
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
    """Name of these weights, without the prefix; likewise the next ones."""
    own_head: str = HEAD
    """Of the LM head, where it has weights of its own."""
    position_embedding: str | None = "wpe.weight"
    """None if there are none: rotary embedding."""
    input_first: bool = False
    """Whether the blocks' matrices are stored (in, out)."""
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
    local_rotary: Rotary | None = None
    """Of layers with a window; None if it is `rotary`, too."""
    rotated: tuple[bool, ...] = ()
    """Whether each layer has rotary embedding; empty if all do."""
    activation: ActivationName = "silu"
    """Of a block's MLP."""
    query_bias: bool = False
    """Whether queries, keys and values have biases; likewise the next ones."""
    attention_bias: bool = False
    mlp_bias: bool = False
    parallel: bool = False
    """Whether a block's MLP reads the block's input, not what attention has added to."""
    two_norms: bool = False
    """Whether they read it through a norm each, where they do."""
    query_norm: bool = False
    """Whether each head's queries and keys are normalised."""
    attention_scale: float | None = None
    """Of attention scores; None is 1/√head_dim."""
    attention_soft_cap: float | None = None
    """Bound of attention scores by tanh; likewise the next one."""
    logit_soft_cap: float | None = None
    embedding_scale: float = 1.0
    """By which token embeddings are multiplied; likewise the next ones."""
    residual_scale: float = 1.0
    logit_scale: float = 1.0

    @property
    def head(self) -> str:
        """Name of the LM head's weights."""
        return self.token_embedding if self.tie_word_embeddings else self.own_head

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

    def cache_bytes(self, dtype: str) -> int:
        """Bytes of one token's keys and values, in all layers."""
        return 2 * self.num_layers * self.num_kv_heads * cache_row_size(dtype, self.head_dim)


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
    expected = {config.token_embedding: vocabulary, config.own_head: vocabulary}
    if config.position_embedding is not None:
        expected[config.position_embedding] = (config.context_length, config.hidden_size)
    for name, shape in expected.items():
        found = shapes.get(name, shapes.get(config.prefix + name, shape))
        if found != shape:
            raise ModelError(
                f"config.json has {name} of shape {shape}, the weights hold {found}; the files do"
                " not belong together: fetch the model again"
            )
