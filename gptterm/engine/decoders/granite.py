"""Granite: the forward pass, to read beside Llama's.

Granite Team, IBM, "Granite 3.0 Language Models", 2024: Llama's blocks, with embeddings, attention
scores, what each half of a block adds, and logits multiplied by numbers of the configuration.
"""

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.layers import Array
from gptterm.engine.decoders.llama import Llama


class Granite(Llama):
    """Granite of any size, without mixtures of experts."""

    architecture = "GraniteForCausalLM"

    def hidden(self, ids: Array, step: AttentionStep) -> Array:
        """(m,) ids → (m, hidden_size)."""
        config = self.config
        x = self._token_embedding(ids) * config.embedding_scale
        rotate = self._rotary(step.positions)
        for i, block in enumerate(self._blocks):
            step.tap(i, "input", x)
            y = block.norm_1(x)
            query, key, value = block.attention_in(y)
            query, key = rotate(query), rotate(key)
            attended = step.attend(i, query, key, value, scale=config.attention_scale)
            x = x + block.attention_out(attended) * config.residual_scale
            step.tap(i, "attention", x)
            gate, up = block.mlp_in(block.norm_2(x))
            y = block.down(self._gate(gate, up))
            x = x + y * config.residual_scale
        return x

    def logits(self, hidden: Array) -> Array:
        """(m, hidden_size) → (m, vocab_size)."""
        return super().logits(hidden) * self.config.logit_scale
