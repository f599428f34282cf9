"""Phi-3 and Phi-4-mini: the forward pass, to read beside Llama's.

Microsoft, "Phi-3 Technical Report", 2024: Llama's block with fused weights, of queries, keys and
values and of gate and up. Phi-4-mini (2025) rotates three quarters of each head.
"""

from dataclasses import dataclass

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.layers import (
    Array,
    FusedLinear,
    LayerMaker,
    LayerNorm,
    LinearLayer,
)


@dataclass(frozen=True)
class Block:
    """Layers of one transformer block."""

    window: int | None
    norm_1: LayerNorm
    attention_in: FusedLinear
    """Query, key and value."""
    attention_out: LinearLayer
    norm_2: LayerNorm
    mlp_in: FusedLinear
    """Gate and up."""
    down: LinearLayer


class Phi3:
    """Phi-3 of any size, Phi-4 and Phi-4-mini."""

    architecture = "Phi3ForCausalLM"

    def __init__(self, config: DecoderConfig, layers: LayerMaker) -> None:
        assert config.rotary is not None
        self.config = config
        vocab, width = config.vocab_size, config.hidden_size
        self._token_embedding = layers.embedding(config.token_embedding, vocab, width)
        windows = config.windows or (None,) * config.num_layers
        self._blocks = [_block(f"layers.{i}", config, layers, w) for i, w in enumerate(windows)]
        self._rotary = layers.rotary(config.rotary, config.head_dim)
        self._gate = layers.gate(config.activation)
        self._final_norm = layers.rms_norm("norm", width, config.norm_epsilon)
        self._lm_head = layers.lm_head(config.head, width, vocab)

    def hidden(self, ids: Array, step: AttentionStep) -> Array:
        """(m,) ids → (m, hidden_size)."""
        x = self._token_embedding(ids)
        rotate = self._rotary(step.positions)
        for i, block in enumerate(self._blocks):
            step.tap(i, "input", x)
            query, key, value = block.attention_in(block.norm_1(x))
            attended = step.attend(i, rotate(query), rotate(key), value, window=block.window)
            x = block.attention_out(attended, residual=x)
            step.tap(i, "attention", x)
            gate, up = block.mlp_in(block.norm_2(x))
            x = block.down(self._gate(gate, up), residual=x)
        return x

    def logits(self, hidden: Array) -> Array:
        """(m, hidden_size) → (m, vocab_size)."""
        return self._lm_head(self._final_norm(hidden))


def _block(name: str, config: DecoderConfig, layers: LayerMaker, window: int | None) -> Block:
    width, inner, epsilon = config.hidden_size, config.intermediate_size, config.norm_epsilon
    of_queries = config.num_heads * config.head_dim
    parts = [of_queries, *[config.num_kv_heads * config.head_dim] * 2]
    fused = layers.linear(f"{name}.self_attn.qkv_proj", width, sum(parts), bias=False)
    gated = layers.linear(f"{name}.mlp.gate_up_proj", width, 2 * inner, bias=False)
    return Block(
        window=window,
        norm_1=layers.rms_norm(f"{name}.input_layernorm", width, epsilon),
        attention_in=FusedLinear(fused, parts),
        attention_out=layers.linear(f"{name}.self_attn.o_proj", of_queries, width, bias=False),
        norm_2=layers.rms_norm(f"{name}.post_attention_layernorm", width, epsilon),
        mlp_in=FusedLinear(gated, [inner] * 2),
        down=layers.linear(f"{name}.mlp.down_proj", inner, width, bias=False),
    )
