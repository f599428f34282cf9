"""GPT-2: the forward pass, to read beside the paper; its blocks are GPT-1's, too.

Radford et al., "Language Models are Unsupervised Multitask Learners", 2019.
"""

from dataclasses import dataclass

from torch import Tensor

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.layers import LayerLoader, LayerNorm
from gptterm.engine.decoders.torch_linear import LinearLayer


@dataclass(frozen=True)
class Block:
    """Layers of one transformer block; the architecture decides their order."""

    norm_1: LayerNorm
    attention_in: LinearLayer
    """(m, hidden_size) → (m, 3 · hidden_size): query, key and value."""
    attention_out: LinearLayer
    norm_2: LayerNorm
    mlp_in: LinearLayer
    mlp_out: LinearLayer


def blocks(config: DecoderConfig, loader: LayerLoader) -> list[Block]:
    """Load all blocks, in order."""
    width, inner, epsilon = config.hidden_size, config.intermediate_size, config.layer_norm_epsilon
    return [
        Block(
            norm_1=loader.norm(f"h.{i}.ln_1", width, epsilon),
            attention_in=loader.conv1d(f"h.{i}.attn.c_attn", width, 3 * width),
            attention_out=loader.conv1d(f"h.{i}.attn.c_proj", width, width),
            norm_2=loader.norm(f"h.{i}.ln_2", width, epsilon),
            mlp_in=loader.conv1d(f"h.{i}.mlp.c_fc", width, inner),
            mlp_out=loader.conv1d(f"h.{i}.mlp.c_proj", inner, width),
        )
        for i in range(config.num_layers)
    ]


class GPT2:
    """GPT-2 of any size."""

    architecture = "GPT2LMHeadModel"

    def __init__(self, config: DecoderConfig, loader: LayerLoader) -> None:
        self.config = config
        vocab, context, width = config.vocab_size, config.context_length, config.hidden_size
        self._token_embedding = loader.tensor("wte.weight", vocab, width)
        self._position_embedding = loader.tensor("wpe.weight", context, width)
        self._blocks = blocks(config, loader)
        self._gelu = loader.gelu
        self._final_norm = loader.norm("ln_f", width, config.layer_norm_epsilon)
        lm_head = "wte.weight" if config.tie_word_embeddings else "lm_head.weight"
        self._lm_head = loader.lm_head(lm_head, width, vocab)

    def hidden(self, ids: Tensor, step: AttentionStep) -> Tensor:
        """(rows, n) ids → (rows · n, hidden_size): linear layers are fastest in two dimensions."""
        x = (self._token_embedding[ids] + self._position_embedding[step.positions]).flatten(0, 1)
        for i, block in enumerate(self._blocks):
            query, key, value = block.attention_in(block.norm_1(x)).chunk(3, dim=-1)
            x = block.attention_out(step.attend(i, query, key, value), residual=x)
            x = block.mlp_out(self._gelu(block.mlp_in(block.norm_2(x))), residual=x)
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """(m, hidden_size) → (m, vocab_size)."""
        return self._lm_head(self._final_norm(hidden))
