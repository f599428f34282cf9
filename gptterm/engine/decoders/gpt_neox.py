"""GPT-NeoX and Pythia: the forward pass, to read beside GPT-2's.

Black et al., "GPT-NeoX-20B: An Open-Source Autoregressive Language Model", 2022; Biderman et al.,
"Pythia", 2023. A rotary embedding of a quarter of each head stands for the position embeddings,
and attention and MLP read the same input, each through a norm of its own, and add to it together.
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
    norm_2: LayerNorm
    mlp_in: LinearLayer
    mlp_out: LinearLayer


class GPTNeoX:
    """GPT-NeoX of any size."""

    architecture = "GPTNeoXForCausalLM"

    def __init__(self, config: DecoderConfig, layers: LayerMaker) -> None:
        assert config.rotary is not None
        self.config = config
        vocab, width = config.vocab_size, config.hidden_size
        self._token_embedding = layers.embedding(config.token_embedding, vocab, width)
        self._blocks = [_block(f"layers.{i}", config, layers) for i in range(config.num_layers)]
        self._rotary = layers.rotary(config.rotary, config.head_dim)
        self._activation = layers.activation(config.activation)
        self._final_norm = layers.norm("final_layer_norm", width, config.norm_epsilon)
        self._lm_head = layers.lm_head(config.head, width, vocab)

    def hidden(self, ids: Array, step: AttentionStep) -> Array:
        """(m,) ids → (m, hidden_size)."""
        x = self._token_embedding(ids)
        rotate = self._rotary(step.positions)
        for i, block in enumerate(self._blocks):
            step.tap(i, "input", x)
            query, key, value = block.attention_in(block.norm_1(x))
            attended = step.attend(i, rotate(query), rotate(key), value)
            summed = block.attention_out(attended, residual=x)
            step.tap(i, "attention", summed)
            y = block.norm_2(x if self.config.parallel else summed)
            x = block.mlp_out(self._activation(block.mlp_in(y)), residual=summed)
        return x

    def logits(self, hidden: Array) -> Array:
        """(m, hidden_size) → (m, vocab_size)."""
        return self._lm_head(self._final_norm(hidden))


def _block(name: str, config: DecoderConfig, layers: LayerMaker) -> Block:
    width, inner, epsilon = config.hidden_size, config.intermediate_size, config.norm_epsilon
    attention, bias = f"{name}.attention", config.attention_bias
    fused = layers.linear(f"{attention}.query_key_value", width, 3 * width, bias=bias)
    return Block(
        norm_1=layers.norm(f"{name}.input_layernorm", width, epsilon),
        attention_in=GroupedLinear(fused, config.num_heads, config.head_dim),
        attention_out=layers.linear(f"{attention}.dense", width, width, bias=bias),
        norm_2=layers.norm(f"{name}.post_attention_layernorm", width, epsilon),
        mlp_in=layers.linear(f"{name}.mlp.dense_h_to_4h", width, inner),
        mlp_out=layers.linear(f"{name}.mlp.dense_4h_to_h", inner, width),
    )
