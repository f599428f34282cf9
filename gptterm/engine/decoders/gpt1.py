"""GPT-1's forward pass, a page to read beside the paper.

Radford et al., "Improving Language Understanding by Generative Pre-Training", 2018. It differs
from GPT-2 in its norms: they follow the attention and the MLP, and none comes before the head.
"""

from torch import Tensor

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.gpt2 import blocks
from gptterm.engine.decoders.layers import LayerLoader


class GPT1:
    """A GPT-1 of any size."""

    architecture = "OpenAIGPTLMHeadModel"

    def __init__(self, config: DecoderConfig, loader: LayerLoader) -> None:
        self.config = config
        vocab, context, width = config.vocab_size, config.context_length, config.hidden_size
        self._tokens = loader.tensor("tokens_embed.weight", vocab, width)
        self._positions = loader.tensor("positions_embed.weight", context, width)
        self._blocks = blocks(config, loader)
        self._gelu = loader.gelu
        head = "tokens_embed.weight" if config.tie_word_embeddings else "lm_head.weight"
        self._head = loader.head(head, width, vocab)

    def hidden(self, ids: Tensor, step: AttentionStep) -> Tensor:
        """(rows, n) ids → (rows · n, width)."""
        x = (self._tokens[ids] + self._positions[step.positions]).flatten(0, 1)
        for i, block in enumerate(self._blocks):
            query, key, value = block.attention_in(x).chunk(3, dim=-1)
            x = block.norm_1(block.attention_out(step.attend(i, query, key, value), residual=x))
            # What the config calls gelu is its tanh approximation, here as in GPT-2.
            x = block.norm_2(block.mlp_out(self._gelu(block.mlp_in(x)), residual=x))
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """(m, width) → (m, vocab_size)."""
        return self._head(hidden)
