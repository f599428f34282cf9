"""Falcon: the forward pass, to read beside GPT-NeoX's.

Almazrouei et al., "The Falcon Series of Open Language Models", 2023: attention and MLP read the
same input and add to it together; all heads (7B) or groups of them share keys and values.
"""

from dataclasses import dataclass

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.layers import (
    Array,
    GroupedLinear,
    LayerMaker,
    LayerNorm,
    LinearLayer,
)


@dataclass(frozen=True)
class Block:
    """Layers of one transformer block."""

    norm_1: LayerNorm
    attention_in: GroupedLinear
    attention_out: LinearLayer
    norm_2: LayerNorm | None
    """None where attention and MLP share a norm."""
    mlp_in: LinearLayer
    mlp_out: LinearLayer


class Falcon:
    """Falcon of any size with rotary embedding."""

    architecture = "FalconForCausalLM"

    def __init__(self, config: DecoderConfig, layers: LayerMaker) -> None:
        assert config.rotary is not None
        self.config = config
        vocab, width = config.vocab_size, config.hidden_size
        self._token_embedding = layers.embedding(config.token_embedding, vocab, width)
        self._blocks = [_block(f"h.{i}", config, layers) for i in range(config.num_layers)]
        self._rotary = layers.rotary(config.rotary, config.head_dim)
        self._activation = layers.activation(config.activation)
        self._final_norm = layers.norm("ln_f", width, config.norm_epsilon)
        self._lm_head = layers.lm_head(config.head, width, vocab)

    def hidden(self, ids: Array, step: AttentionStep) -> Array:
        """(m,) ids → (m, hidden_size)."""
        x = self._token_embedding(ids)
        rotate = self._rotary(step.positions)
        for i, block in enumerate(self._blocks):
            step.tap(i, "input", x)
            y = block.norm_1(x)
            query, key, value = block.attention_in(y)
            attended = step.attend(i, rotate(query), rotate(key), value)
            summed = block.attention_out(attended, residual=x)
            step.tap(i, "attention", summed)
            if block.norm_2 is not None:
                y = block.norm_2(x if self.config.parallel else summed)
            x = block.mlp_out(self._activation(block.mlp_in(y)), residual=summed)
        return x

    def logits(self, hidden: Array) -> Array:
        """(m, hidden_size) → (m, vocab_size)."""
        return self._lm_head(self._final_norm(hidden))


def _block(name: str, config: DecoderConfig, layers: LayerMaker) -> Block:
    width, inner, epsilon = config.hidden_size, config.intermediate_size, config.norm_epsilon
    attention, mlp, bias = f"{name}.self_attention", f"{name}.mlp", config.attention_bias
    outputs = width + 2 * config.num_kv_heads * config.head_dim
    fused = layers.linear(f"{attention}.query_key_value", width, outputs, bias=bias)
    first, second = "input_layernorm", "post_attention_layernorm"
    if config.parallel:
        first, second = ("ln_attn", "ln_mlp") if config.two_norms else (first, "")
    return Block(
        norm_1=layers.norm(f"{name}.{first}", width, epsilon),
        attention_in=GroupedLinear(fused, config.num_kv_heads, config.head_dim),
        attention_out=layers.linear(f"{attention}.dense", width, width, bias=bias),
        norm_2=layers.norm(f"{name}.{second}", width, epsilon) if second else None,
        mlp_in=layers.linear(f"{mlp}.dense_h_to_4h", width, inner, bias=bias),
        mlp_out=layers.linear(f"{mlp}.dense_4h_to_h", inner, width, bias=bias),
    )
