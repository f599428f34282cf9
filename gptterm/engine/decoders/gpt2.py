"""GPT-2's forward pass, a page to read beside the paper.

Radford et al., "Language Models are Unsupervised Multitask Learners", 2019.
"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from gptterm.engine.decoders.kv_cache import Step
from gptterm.engine.decoders.layers import Layers
from gptterm.engine.decoders.openai import blocks
from gptterm.engine.decoders.sizes import Sizes, epsilon, size

# gelu_new is GELU's tanh approximation (Hendrycks and Gimpel, 2016).
_ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh")


class GPT2:
    """A GPT-2 of any size."""

    architecture = "GPT2LMHeadModel"

    @staticmethod
    def read(config: dict[str, Any]) -> Sizes | None:
        """The sizes in a config.json, or None for a variant that is not computed here.

        Raises:
            ModelError: a size is no size.
        """
        variant = (
            config.get("activation_function", "gelu_new") not in _ACTIVATIONS
            or not config.get("scale_attn_weights", True)
            or config.get("scale_attn_by_inverse_layer_idx", False)
            or config.get("reorder_and_upcast_attn", False)
            or config.get("add_cross_attention", False)
        )
        if variant:
            return None
        width = size(config, "n_embd", 768)
        return Sizes(
            vocab_size=size(config, "vocab_size", 50257),
            context_length=size(config, "n_positions", 1024),
            width=width,
            inner=4 * width if config.get("n_inner") is None else size(config, "n_inner", 0),
            layers=size(config, "n_layer", 12),
            heads=size(config, "n_head", 12),
            epsilon=epsilon(config),
            tied=bool(config.get("tie_word_embeddings", True)),
        )

    def __init__(self, sizes: Sizes, layers: Layers) -> None:
        self.sizes = sizes
        self._tokens = layers.tensor("wte.weight", sizes.vocab_size, sizes.width)
        self._positions = layers.tensor("wpe.weight", sizes.context_length, sizes.width)
        self._blocks = blocks(sizes, layers)
        self._final_norm = layers.norm("ln_f", sizes.width, sizes.epsilon)
        head = "wte.weight" if sizes.tied else "lm_head.weight"
        self._head = layers.head(head, sizes.width, sizes.vocab_size)

    def hidden(self, ids: Tensor, step: Step) -> Tensor:
        """(rows, n) ids → (rows · n, width): matrix kernels are fastest on two dimensions."""
        x = (self._tokens[ids] + self._positions[step.positions]).flatten(0, 1)
        for i, block in enumerate(self._blocks):
            query, key, value = block.attention_in(block.norm_1(x)).chunk(3, dim=-1)
            x = x + block.attention_out(step.attend(i, query, key, value))
            x = x + block.mlp_out(F.gelu(block.mlp_in(block.norm_2(x)), approximate="tanh"))
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """(m, width) → (m, vocab_size)."""
        return self._head(self._final_norm(hidden))
