"""GPT-2: the forward pass, to read beside the paper; its blocks are GPT-1's, too.

Radford et al., "Language Models are Unsupervised Multitask Learners", 2019.
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
    """Layers of one transformer block; the architecture decides their order."""

    norm_1: LayerNorm
    attention_in: FusedLinear
    """Query, key and value."""
    attention_out: LinearLayer
    norm_2: LayerNorm
    mlp_in: LinearLayer
    mlp_out: LinearLayer


def blocks(config: DecoderConfig, layers: LayerMaker) -> list[Block]:
    """Load all blocks, in order."""
    width, inner, epsilon = config.hidden_size, config.intermediate_size, config.norm_epsilon
    return [
        Block(
            norm_1=layers.norm(f"h.{i}.ln_1", width, epsilon),
            attention_in=FusedLinear(
                layers.conv1d(f"h.{i}.attn.c_attn", width, 3 * width), [width] * 3
            ),
            attention_out=layers.conv1d(f"h.{i}.attn.c_proj", width, width),
            norm_2=layers.norm(f"h.{i}.ln_2", width, epsilon),
            mlp_in=layers.conv1d(f"h.{i}.mlp.c_fc", width, inner),
            mlp_out=layers.conv1d(f"h.{i}.mlp.c_proj", inner, width),
        )
        for i in range(config.num_layers)
    ]


class GPT2:
    """GPT-2 of any size."""

    architecture = "GPT2LMHeadModel"

    def __init__(self, config: DecoderConfig, layers: LayerMaker) -> None:
        self.config = config
        vocab, context, width = config.vocab_size, config.context_length, config.hidden_size
        self._token_embedding = layers.embedding("wte.weight", vocab, width)
        self._position_embedding = layers.embedding("wpe.weight", context, width)
        self._blocks = blocks(config, layers)
        self._gelu = layers.activation("gelu_tanh")
        self._final_norm = layers.norm("ln_f", width, config.norm_epsilon)
        self._lm_head = layers.lm_head(config.head, width, vocab)

    def hidden(self, ids: Array, step: AttentionStep) -> Array:
        """(m,) ids → (m, hidden_size)."""
        x = self._position_embedding(step.positions, residual=self._token_embedding(ids))
        for i, block in enumerate(self._blocks):
            step.tap(i, "input", x)
            query, key, value = block.attention_in(block.norm_1(x))
            x = block.attention_out(step.attend(i, query, key, value), residual=x)
            step.tap(i, "attention", x)
            x = block.mlp_out(self._gelu(block.mlp_in(block.norm_2(x))), residual=x)
        return x

    def logits(self, hidden: Array) -> Array:
        """(m, hidden_size) → (m, vocab_size)."""
        return self._lm_head(self._final_norm(hidden))
