"""StableLM: the forward pass, to read beside Llama's.

Bellagente et al., "Stable LM 2 1.6B Technical Report", 2024: layer norms with biases, and a rotary
embedding of a quarter of each head.
"""

from dataclasses import dataclass

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.layers import Array, LayerMaker, LayerNorm, LinearGroup, LinearLayer


@dataclass(frozen=True)
class Block:
    """Layers of one transformer block."""

    norm_1: LayerNorm
    attention_in: LinearGroup
    """Query, key and value."""
    attention_out: LinearLayer
    norm_2: LayerNorm | None
    """None where attention and MLP read the same."""
    mlp_in: LinearGroup
    """Gate and up."""
    down: LinearLayer


class StableLm:
    """StableLM of any size without norms of queries and keys."""

    architecture = "StableLmForCausalLM"

    def __init__(self, config: DecoderConfig, layers: LayerMaker) -> None:
        assert config.rotary is not None
        self.config = config
        vocab, width = config.vocab_size, config.hidden_size
        self._token_embedding = layers.embedding(config.token_embedding, vocab, width)
        self._blocks = [_block(f"layers.{i}", config, layers) for i in range(config.num_layers)]
        self._rotary = layers.rotary(config.rotary, config.head_dim)
        self._gate = layers.gate(config.activation)
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
            attended = step.attend(i, rotate(query), rotate(key), value)
            x = block.attention_out(attended, residual=x)
            step.tap(i, "attention", x)
            if block.norm_2 is not None:
                y = block.norm_2(x)
            gate, up = block.mlp_in(y)
            x = block.down(self._gate(gate, up), residual=x)
        return x

    def logits(self, hidden: Array) -> Array:
        """(m, hidden_size) → (m, vocab_size)."""
        return self._lm_head(self._final_norm(hidden))


def _block(name: str, config: DecoderConfig, layers: LayerMaker) -> Block:
    width, inner, epsilon = config.hidden_size, config.intermediate_size, config.norm_epsilon
    of_keys, attention = config.num_kv_heads * config.head_dim, f"{name}.self_attn"
    bias, mlp = config.query_bias, f"{name}.mlp"
    second = f"{name}.post_attention_layernorm"
    return Block(
        norm_1=layers.norm(f"{name}.input_layernorm", width, epsilon),
        attention_in=layers.group(
            layers.linear(f"{attention}.q_proj", width, width, bias=bias),
            layers.linear(f"{attention}.k_proj", width, of_keys, bias=bias),
            layers.linear(f"{attention}.v_proj", width, of_keys, bias=bias),
        ),
        attention_out=layers.linear(f"{attention}.o_proj", width, width, bias=False),
        norm_2=None if config.parallel else layers.norm(second, width, epsilon),
        mlp_in=layers.group(
            layers.linear(f"{mlp}.gate_proj", width, inner, bias=False),
            layers.linear(f"{mlp}.up_proj", width, inner, bias=False),
        ),
        down=layers.linear(f"{mlp}.down_proj", inner, width, bias=False),
    )
