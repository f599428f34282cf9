"""BLOOM: the forward pass, to read beside GPT-2's.

BigScience Workshop, "BLOOM: A 176B-Parameter Open-Access Multilingual Language Model", 2022: in
place of position embeddings, scores fall with the distance (ALiBi: Press et al., "Train Short, Test
Long", 2022), and the embeddings go through a norm of their own.
"""

import math
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


class Bloom:
    """BLOOM and BLOOMZ of any size."""

    architecture = "BloomForCausalLM"

    def __init__(self, config: DecoderConfig, layers: LayerMaker) -> None:
        self.config = config
        vocab, width, epsilon = config.vocab_size, config.hidden_size, config.norm_epsilon
        self._token_embedding = layers.embedding(config.token_embedding, vocab, width)
        self._embedding_norm = layers.norm("word_embeddings_layernorm", width, epsilon)
        self._blocks = [_block(f"h.{i}", config, layers) for i in range(config.num_layers)]
        self._bias = layers.distance_bias(slopes(config.num_heads), config.context_length)
        self._activation = layers.activation(config.activation)
        self._final_norm = layers.norm("ln_f", width, epsilon)
        self._lm_head = layers.lm_head(config.head, width, vocab)

    def hidden(self, ids: Array, step: AttentionStep) -> Array:
        """(m,) ids → (m, hidden_size)."""
        x = self._embedding_norm(self._token_embedding(ids))
        for i, block in enumerate(self._blocks):
            step.tap(i, "input", x)
            query, key, value = block.attention_in(block.norm_1(x))
            attended = step.attend(i, query, key, value, bias=self._bias)
            x = block.attention_out(attended, residual=x)
            step.tap(i, "attention", x)
            x = block.mlp_out(self._activation(block.mlp_in(block.norm_2(x))), residual=x)
        return x

    def logits(self, hidden: Array) -> Array:
        """(m, hidden_size) → (m, vocab_size)."""
        return self._lm_head(self._final_norm(hidden))


def slopes(heads: int) -> list[float]:
    """ALiBi's: how much a head's scores fall for each token of distance.

    A geometric sequence for a power of two; for other numbers of heads, the rest are every second
    of the next power's.
    """
    power = 2 ** int(math.log2(heads))
    found = [2.0 ** (-8 * i / power) for i in range(1, power + 1)]
    return found + [2.0 ** (-4 * i / power) for i in range(1, 2 * (heads - power), 2)]


def _block(name: str, config: DecoderConfig, layers: LayerMaker) -> Block:
    width, inner, epsilon = config.hidden_size, config.intermediate_size, config.norm_epsilon
    fused = layers.linear(f"{name}.self_attention.query_key_value", width, 3 * width)
    return Block(
        norm_1=layers.norm(f"{name}.input_layernorm", width, epsilon),
        attention_in=GroupedLinear(fused, config.num_heads, config.head_dim),
        attention_out=layers.linear(f"{name}.self_attention.dense", width, width),
        norm_2=layers.norm(f"{name}.post_attention_layernorm", width, epsilon),
        mlp_in=layers.linear(f"{name}.mlp.dense_h_to_4h", width, inner),
        mlp_out=layers.linear(f"{name}.mlp.dense_4h_to_h", inner, width),
    )
