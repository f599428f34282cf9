"""StarCoder2: the forward pass, to read beside Mistral's.

Lozhkov et al., "StarCoder 2 and The Stack v2: The Next Generation", 2024: layer norms with biases,
and an MLP without a gate.
"""

from dataclasses import dataclass

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.layers import Array, LayerMaker, LayerNorm, LinearGroup, LinearLayer


@dataclass(frozen=True)
class Block:
    """Layers of one transformer block."""

    window: int | None
    norm_1: LayerNorm
    attention_in: LinearGroup
    """Query, key and value."""
    attention_out: LinearLayer
    norm_2: LayerNorm
    mlp_in: LinearLayer
    mlp_out: LinearLayer


class Starcoder2:
    """StarCoder2 of any size."""

    architecture = "Starcoder2ForCausalLM"

    def __init__(self, config: DecoderConfig, layers: LayerMaker) -> None:
        assert config.rotary is not None
        self.config = config
        vocab, width = config.vocab_size, config.hidden_size
        self._token_embedding = layers.embedding(config.token_embedding, vocab, width)
        windows = config.windows or (None,) * config.num_layers
        self._blocks = [_block(f"layers.{i}", config, layers, w) for i, w in enumerate(windows)]
        self._rotary = layers.rotary(config.rotary, config.head_dim)
        self._activation = layers.activation(config.activation)
        self._final_norm = layers.norm("norm", width, config.norm_epsilon)
        self._lm_head = layers.lm_head(config.head, width, vocab)

    def hidden(self, ids: Array, step: AttentionStep) -> Array:
        """(m,) ids → (m, hidden_size)."""
        x = self._token_embedding(ids)
        rotate = self._rotary(step.positions)
        for i, block in enumerate(self._blocks):
            step.tap(i, "input", x)
            y = block.norm_1(x)
            query, key, value = block.attention_in(y)
            attended = step.attend(i, rotate(query), rotate(key), value, window=block.window)
            x = block.attention_out(attended, residual=x)
            step.tap(i, "attention", x)
            x = block.mlp_out(self._activation(block.mlp_in(block.norm_2(x))), residual=x)
        return x

    def logits(self, hidden: Array) -> Array:
        """(m, hidden_size) → (m, vocab_size)."""
        return self._lm_head(self._final_norm(hidden))


def _block(name: str, config: DecoderConfig, layers: LayerMaker, window: int | None) -> Block:
    width, inner, epsilon = config.hidden_size, config.intermediate_size, config.norm_epsilon
    of_queries = config.num_heads * config.head_dim
    of_keys = config.num_kv_heads * config.head_dim
    attention, bias = f"{name}.self_attn", config.attention_bias
    return Block(
        window=window,
        norm_1=layers.norm(f"{name}.input_layernorm", width, epsilon),
        attention_in=layers.group(
            layers.linear(f"{attention}.q_proj", width, of_queries, bias=bias),
            layers.linear(f"{attention}.k_proj", width, of_keys, bias=bias),
            layers.linear(f"{attention}.v_proj", width, of_keys, bias=bias),
        ),
        attention_out=layers.linear(f"{attention}.o_proj", of_queries, width, bias=bias),
        norm_2=layers.norm(f"{name}.post_attention_layernorm", width, epsilon),
        mlp_in=layers.linear(f"{name}.mlp.c_fc", width, inner, bias=bias),
        mlp_out=layers.linear(f"{name}.mlp.c_proj", inner, width, bias=bias),
    )
