"""OLMo 2: the forward pass, to read beside Llama's.

OLMo Team, "2 OLMo 2 Furious", 2025: norms stand behind attention and MLP instead of before them,
and queries and keys are normalised, all heads at once.
"""

from dataclasses import dataclass

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.layers import Array, LayerMaker, LayerNorm, LinearGroup, LinearLayer


@dataclass(frozen=True)
class Block:
    """Layers of one transformer block."""

    attention_in: LinearGroup
    """Query, key and value."""
    query_norm: LayerNorm
    key_norm: LayerNorm
    attention_out: LinearLayer
    norm_1: LayerNorm
    mlp_in: LinearGroup
    """Gate and up."""
    down: LinearLayer
    norm_2: LayerNorm


class Olmo2:
    """OLMo 2 of any size."""

    architecture = "Olmo2ForCausalLM"

    def __init__(self, config: DecoderConfig, layers: LayerMaker) -> None:
        assert config.rotary is not None
        self.config = config
        vocab, width = config.vocab_size, config.hidden_size
        self._token_embedding = layers.embedding(config.token_embedding, vocab, width)
        self._blocks = [_block(f"layers.{i}", config, layers) for i in range(config.num_layers)]
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
            query, key, value = block.attention_in(x)
            query, key = rotate(block.query_norm(query)), rotate(block.key_norm(key))
            attended = step.attend(i, query, key, value)
            x = x + block.norm_1(block.attention_out(attended))
            step.tap(i, "attention", x)
            gate, up = block.mlp_in(x)
            x = x + block.norm_2(block.down(self._gate(gate, up)))
        return x

    def logits(self, hidden: Array) -> Array:
        """(m, hidden_size) → (m, vocab_size)."""
        return self._lm_head(self._final_norm(hidden))


def _block(name: str, config: DecoderConfig, layers: LayerMaker) -> Block:
    width, inner, epsilon = config.hidden_size, config.intermediate_size, config.norm_epsilon
    of_queries = config.num_heads * config.head_dim
    of_keys = config.num_kv_heads * config.head_dim
    attention, mlp, bias = f"{name}.self_attn", f"{name}.mlp", config.attention_bias
    return Block(
        attention_in=layers.group(
            layers.linear(f"{attention}.q_proj", width, of_queries, bias=bias),
            layers.linear(f"{attention}.k_proj", width, of_keys, bias=bias),
            layers.linear(f"{attention}.v_proj", width, of_keys, bias=bias),
        ),
        query_norm=layers.rms_norm(f"{attention}.q_norm", of_queries, epsilon),
        key_norm=layers.rms_norm(f"{attention}.k_norm", of_keys, epsilon),
        attention_out=layers.linear(f"{attention}.o_proj", of_queries, width, bias=bias),
        norm_1=layers.rms_norm(f"{name}.post_attention_layernorm", width, epsilon),
        mlp_in=layers.group(
            layers.linear(f"{mlp}.gate_proj", width, inner, bias=False),
            layers.linear(f"{mlp}.up_proj", width, inner, bias=False),
        ),
        down=layers.linear(f"{mlp}.down_proj", inner, width, bias=False),
        norm_2=layers.rms_norm(f"{name}.post_feedforward_layernorm", width, epsilon),
    )
