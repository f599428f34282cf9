"""Phi-1, Phi-1.5 and Phi-2: the forward pass, to read beside GPT-J's.

Gunasekar et al., "Textbooks Are All You Need", 2023: attention and MLP read the same input through
one norm; every layer has biases.
"""

from dataclasses import dataclass

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.layers import Array, LayerMaker, LayerNorm, LinearGroup, LinearLayer


@dataclass(frozen=True)
class Block:
    """Layers of one transformer block."""

    norm: LayerNorm
    attention_in: LinearGroup
    """Query, key and value."""
    attention_out: LinearLayer
    mlp_in: LinearLayer
    mlp_out: LinearLayer


class Phi:
    """Phi 1 to 2 of any size."""

    architecture = "PhiForCausalLM"

    def __init__(self, config: DecoderConfig, layers: LayerMaker) -> None:
        assert config.rotary is not None
        self.config = config
        vocab, width = config.vocab_size, config.hidden_size
        self._token_embedding = layers.embedding(config.token_embedding, vocab, width)
        self._blocks = [_block(f"layers.{i}", config, layers) for i in range(config.num_layers)]
        self._rotary = layers.rotary(config.rotary, config.head_dim)
        self._activation = layers.activation(config.activation)
        self._final_norm = layers.norm("final_layernorm", width, config.norm_epsilon)
        self._lm_head = layers.lm_head(config.head, width, vocab, bias="lm_head.bias")

    def hidden(self, ids: Array, step: AttentionStep) -> Array:
        """(m,) ids → (m, hidden_size)."""
        x = self._token_embedding(ids)
        rotate = self._rotary(step.positions)
        for i, block in enumerate(self._blocks):
            step.tap(i, "input", x)
            y = block.norm(x)
            query, key, value = block.attention_in(y)
            attended = step.attend(i, rotate(query), rotate(key), value)
            x = block.attention_out(attended, residual=x)
            step.tap(i, "attention", x)
            x = block.mlp_out(self._activation(block.mlp_in(y)), residual=x)
        return x

    def logits(self, hidden: Array) -> Array:
        """(m, hidden_size) → (m, vocab_size)."""
        return self._lm_head(self._final_norm(hidden))


def _block(name: str, config: DecoderConfig, layers: LayerMaker) -> Block:
    width, inner, attention = config.hidden_size, config.intermediate_size, f"{name}.self_attn"
    of_queries = config.num_heads * config.head_dim
    of_keys = config.num_kv_heads * config.head_dim
    return Block(
        norm=layers.norm(f"{name}.input_layernorm", width, config.norm_epsilon),
        attention_in=layers.group(
            layers.linear(f"{attention}.q_proj", width, of_queries),
            layers.linear(f"{attention}.k_proj", width, of_keys),
            layers.linear(f"{attention}.v_proj", width, of_keys),
        ),
        attention_out=layers.linear(f"{attention}.dense", of_queries, width),
        mlp_in=layers.linear(f"{name}.mlp.fc1", width, inner),
        mlp_out=layers.linear(f"{name}.mlp.fc2", inner, width),
    )
