"""GPT-1: the forward pass, to read beside the paper.

Radford et al., "Improving Language Understanding by Generative Pre-Training", 2018. It differs
from GPT-2 by post-norm: layer norms follow the attention and the MLP, none precedes the LM head.
"""

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.gpt2 import blocks
from gptterm.engine.decoders.layers import Array, LayerMaker


class GPT1:
    """GPT-1 of any size."""

    architecture = "OpenAIGPTLMHeadModel"

    def __init__(self, config: DecoderConfig, layers: LayerMaker) -> None:
        self.config = config
        vocab, context, width = config.vocab_size, config.context_length, config.hidden_size
        self._token_embedding = layers.embedding("tokens_embed.weight", vocab, width)
        self._position_embedding = layers.embedding("positions_embed.weight", context, width)
        self._blocks = blocks(config, layers)
        self._gelu = layers.activation("gelu_tanh")
        self._lm_head = layers.lm_head(config.head, width, vocab)

    def hidden(self, ids: Array, step: AttentionStep) -> Array:
        """(m,) ids → (m, hidden_size)."""
        x = self._position_embedding(step.positions, residual=self._token_embedding(ids))
        for i, block in enumerate(self._blocks):
            step.tap(i, "input", x)
            query, key, value = block.attention_in(x)
            x = block.norm_1(block.attention_out(step.attend(i, query, key, value), residual=x))
            step.tap(i, "attention", x)
            # The config's `gelu` is the tanh approximation, as in GPT-2.
            x = block.norm_2(block.mlp_out(self._gelu(block.mlp_in(x)), residual=x))
        return x

    def logits(self, hidden: Array) -> Array:
        """(m, hidden_size) → (m, vocab_size)."""
        return self._lm_head(hidden)
