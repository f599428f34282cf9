"""Llama and its relatives: the forward pass, to read beside the papers.

Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", 2023; grouped-query
attention since Llama 2 (Touvron et al., 2023). SmolLM2 and TinyLlama are Llamas by their files.

Mistral (Jiang et al., 2023) adds a sliding window, Qwen2 (Yang et al., 2024) biases of queries,
keys and values, Qwen3 (Yang et al., 2025) a norm of each head's queries and keys in their place.
SmolLM3 (Bakouch et al., 2025) leaves out the rotary embedding of every fourth layer.
"""

from dataclasses import dataclass

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.layers import (
    Array,
    LayerMaker,
    LayerNorm,
    LinearGroup,
    LinearLayer,
)


@dataclass(frozen=True)
class Block:
    """Layers of one transformer block."""

    window: int | None
    is_rotated: bool
    norm_1: LayerNorm
    attention_in: LinearGroup
    """Query, key and value."""
    query_norm: LayerNorm | None
    key_norm: LayerNorm | None
    attention_out: LinearLayer
    norm_2: LayerNorm
    mlp_in: LinearGroup
    """Gate and up."""
    down: LinearLayer


class Llama:
    """Llama of any version and size."""

    architecture = "LlamaForCausalLM"

    def __init__(self, config: DecoderConfig, layers: LayerMaker) -> None:
        assert config.rotary is not None
        self.config = config
        vocab, width = config.vocab_size, config.hidden_size
        self._token_embedding = layers.embedding(config.token_embedding, vocab, width)
        self._blocks = [_block(i, config, layers) for i in range(config.num_layers)]
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
            y = block.norm_1(x)
            query, key, value = block.attention_in(y)
            if block.query_norm and block.key_norm:
                query, key = block.query_norm(query), block.key_norm(key)
            if block.is_rotated:
                query, key = rotate(query), rotate(key)
            attended = step.attend(i, query, key, value, window=block.window)
            x = block.attention_out(attended, residual=x)
            step.tap(i, "attention", x)
            y = block.norm_2(x)
            gate, up = block.mlp_in(y)
            x = block.down(self._gate(gate, up), residual=x)
        return x

    def logits(self, hidden: Array) -> Array:
        """(m, hidden_size) → (m, vocab_size)."""
        return self._lm_head(self._final_norm(hidden))


class Mistral(Llama):
    """Mistral of any size: every layer has a sliding window, or none."""

    architecture = "MistralForCausalLM"


class Qwen2(Llama):
    """Qwen 2 and 2.5 of any size."""

    architecture = "Qwen2ForCausalLM"


class Qwen3(Llama):
    """Qwen 3 of any size, without mixtures of experts."""

    architecture = "Qwen3ForCausalLM"


class SmolLM3(Llama):
    """SmolLM3 of any size."""

    architecture = "SmolLM3ForCausalLM"


def _block(i: int, config: DecoderConfig, layers: LayerMaker) -> Block:
    width, inner, epsilon = config.hidden_size, config.intermediate_size, config.norm_epsilon
    head_dim, bias = config.head_dim, config.query_bias
    of_queries, of_keys = config.num_heads * head_dim, config.num_kv_heads * head_dim
    name = f"layers.{i}"
    attention, mlp = f"{name}.self_attn", f"{name}.mlp"

    def head_norm(of: str) -> LayerNorm | None:
        full_name = f"{attention}.{of}"
        return layers.rms_norm(full_name, head_dim, epsilon) if config.query_norm else None

    return Block(
        window=config.windows[i] if config.windows else None,
        is_rotated=config.rotated[i] if config.rotated else True,
        norm_1=layers.rms_norm(f"{name}.input_layernorm", width, epsilon),
        attention_in=layers.group(
            layers.linear(f"{attention}.q_proj", width, of_queries, bias=bias),
            layers.linear(f"{attention}.k_proj", width, of_keys, bias=bias),
            layers.linear(f"{attention}.v_proj", width, of_keys, bias=bias),
        ),
        query_norm=head_norm("q_norm"),
        key_norm=head_norm("k_norm"),
        attention_out=layers.linear(
            f"{attention}.o_proj", of_queries, width, bias=config.attention_bias
        ),
        norm_2=layers.rms_norm(f"{name}.post_attention_layernorm", width, epsilon),
        mlp_in=layers.group(
            layers.linear(f"{mlp}.gate_proj", width, inner, bias=config.mlp_bias),
            layers.linear(f"{mlp}.up_proj", width, inner, bias=config.mlp_bias),
        ),
        down=layers.linear(f"{mlp}.down_proj", inner, width, bias=config.mlp_bias),
    )
