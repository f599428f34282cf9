"""GPT-Neo: the forward pass, to read beside GPT-2's.

Black et al., "GPT-Neo: Large Scale Autoregressive Language Modeling with Mesh-Tensorflow", 2021.
It differs from GPT-2 in its attention: scores are not scaled, and some layers (every second one, in
the published models) use a sliding window.
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


class GPTNeo:
    """GPT-Neo of any size."""

    architecture = "GPTNeoForCausalLM"

    def __init__(self, config: DecoderConfig, layers: LayerMaker) -> None:
        self.config = config
        vocab, context, width = config.vocab_size, config.context_length, config.hidden_size
        self._token_embedding = layers.embedding("wte.weight", vocab, width)
        self._position_embedding = layers.embedding("wpe.weight", context, width)
        self._blocks = [_block(f"h.{i}", config, layers, w) for i, w in enumerate(config.windows)]
        self._gelu = layers.activation("gelu_tanh")
        self._final_norm = layers.norm("ln_f", width, config.norm_epsilon)
        self._lm_head = layers.lm_head(config.head, width, vocab)

    def hidden(self, ids: Array, step: AttentionStep) -> Array:
        """(m,) ids → (m, hidden_size)."""
        x = self._position_embedding(step.positions, residual=self._token_embedding(ids))
        for i, block in enumerate(self._blocks):
            step.tap(i, "input", x)
            y = block.norm_1(x)
            query, key, value = block.attention_in(y)
            attended = step.attend(i, query, key, value, scale=1.0, window=block.window)
            x = block.attention_out(attended, residual=x)
            step.tap(i, "attention", x)
            x = block.mlp_out(self._gelu(block.mlp_in(block.norm_2(x))), residual=x)
        return x

    def logits(self, hidden: Array) -> Array:
        """(m, hidden_size) → (m, vocab_size)."""
        return self._lm_head(self._final_norm(hidden))


def _block(name: str, config: DecoderConfig, layers: LayerMaker, window: int | None) -> Block:
    width, inner, epsilon = config.hidden_size, config.intermediate_size, config.norm_epsilon
    attention = f"{name}.attn.attention"
    return Block(
        window=window,
        norm_1=layers.norm(f"{name}.ln_1", width, epsilon),
        attention_in=layers.group(
            layers.linear(f"{attention}.q_proj", width, width, bias=False),
            layers.linear(f"{attention}.k_proj", width, width, bias=False),
            layers.linear(f"{attention}.v_proj", width, width, bias=False),
        ),
        attention_out=layers.linear(f"{attention}.out_proj", width, width),
        norm_2=layers.norm(f"{name}.ln_2", width, epsilon),
        mlp_in=layers.linear(f"{name}.mlp.c_fc", width, inner),
        mlp_out=layers.linear(f"{name}.mlp.c_proj", inner, width),
    )
