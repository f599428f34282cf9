"""OPT: the forward pass, to read beside GPT-2's.

Zhang et al., "OPT: Open Pre-trained Transformer Language Models", 2022: GPT-3's architecture, which
is GPT-2's, with ReLU, and position embeddings that begin in the table's third row.
"""

from dataclasses import dataclass

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.layers import Array, LayerMaker, LayerNorm, LinearGroup, LinearLayer

_FIRST_ROW = 2


@dataclass(frozen=True)
class Block:
    """Layers of one transformer block."""

    norm_1: LayerNorm
    attention_in: LinearGroup
    """Query, key and value."""
    attention_out: LinearLayer
    norm_2: LayerNorm
    mlp_in: LinearLayer
    mlp_out: LinearLayer


class OPT:
    """OPT of any size, but for the one whose norms stand behind attention and MLP (350M)."""

    architecture = "OPTForCausalLM"

    def __init__(self, config: DecoderConfig, layers: LayerMaker) -> None:
        self.config = config
        vocab, width = config.vocab_size, config.hidden_size
        self._token_embedding = layers.embedding(config.token_embedding, vocab, width)
        rows = config.context_length + _FIRST_ROW
        self._position_embedding = layers.embedding("embed_positions.weight", rows, width)
        self._blocks = [_block(f"layers.{i}", config, layers) for i in range(config.num_layers)]
        self._activation = layers.activation(config.activation)
        self._final_norm = layers.norm("final_layer_norm", width, config.norm_epsilon)
        self._lm_head = layers.lm_head(config.head, width, vocab)

    def hidden(self, ids: Array, step: AttentionStep) -> Array:
        """(m,) ids → (m, hidden_size)."""
        rows = step.positions + _FIRST_ROW
        x = self._position_embedding(rows, residual=self._token_embedding(ids))
        for i, block in enumerate(self._blocks):
            step.tap(i, "input", x)
            y = block.norm_1(x)
            query, key, value = block.attention_in(y)
            attended = step.attend(i, query, key, value)
            x = block.attention_out(attended, residual=x)
            step.tap(i, "attention", x)
            x = block.mlp_out(self._activation(block.mlp_in(block.norm_2(x))), residual=x)
        return x

    def logits(self, hidden: Array) -> Array:
        """(m, hidden_size) → (m, vocab_size)."""
        return self._lm_head(self._final_norm(hidden))


def _block(name: str, config: DecoderConfig, layers: LayerMaker) -> Block:
    width, inner, epsilon = config.hidden_size, config.intermediate_size, config.norm_epsilon
    attention, bias = f"{name}.self_attn", config.attention_bias
    return Block(
        norm_1=layers.norm(f"{name}.self_attn_layer_norm", width, epsilon),
        attention_in=layers.group(
            layers.linear(f"{attention}.q_proj", width, width, bias=bias),
            layers.linear(f"{attention}.k_proj", width, width, bias=bias),
            layers.linear(f"{attention}.v_proj", width, width, bias=bias),
        ),
        attention_out=layers.linear(f"{attention}.out_proj", width, width, bias=bias),
        norm_2=layers.norm(f"{name}.final_layer_norm", width, epsilon),
        mlp_in=layers.linear(f"{name}.fc1", width, inner, bias=bias),
        mlp_out=layers.linear(f"{name}.fc2", inner, width, bias=bias),
    )
