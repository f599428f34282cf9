"""GPT-2's forward pass, a page to read beside the paper.

Radford et al., "Language Models are Unsupervised Multitask Learners", 2019.
"""

from dataclasses import dataclass

from torch import Tensor

from gptterm.engine.decoders.config import Sizes
from gptterm.engine.decoders.kv_cache import Step
from gptterm.engine.decoders.layers import Layers, Norm
from gptterm.engine.decoders.torch_linear import Linear


@dataclass(frozen=True)
class Block:
    """One transformer block. What is done with its layers is the architecture's."""

    norm_1: Norm
    attention_in: Linear
    """(m, width) → (m, 3 · width): query, key and value."""
    attention_out: Linear
    norm_2: Norm
    mlp_in: Linear
    mlp_out: Linear


def blocks(sizes: Sizes, layers: Layers) -> list[Block]:
    """All blocks, in their order."""
    width, inner, epsilon = sizes.width, sizes.inner, sizes.epsilon
    return [
        Block(
            norm_1=layers.norm(f"h.{i}.ln_1", width, epsilon),
            attention_in=layers.conv1d(f"h.{i}.attn.c_attn", width, 3 * width),
            attention_out=layers.conv1d(f"h.{i}.attn.c_proj", width, width),
            norm_2=layers.norm(f"h.{i}.ln_2", width, epsilon),
            mlp_in=layers.conv1d(f"h.{i}.mlp.c_fc", width, inner),
            mlp_out=layers.conv1d(f"h.{i}.mlp.c_proj", inner, width),
        )
        for i in range(sizes.layers)
    ]


class GPT2:
    """A GPT-2 of any size."""

    architecture = "GPT2LMHeadModel"

    def __init__(self, sizes: Sizes, layers: Layers) -> None:
        self.sizes = sizes
        self._tokens = layers.tensor("wte.weight", sizes.vocab_size, sizes.width)
        self._positions = layers.tensor("wpe.weight", sizes.context_length, sizes.width)
        self._blocks = blocks(sizes, layers)
        self._gelu = layers.gelu
        self._final_norm = layers.norm("ln_f", sizes.width, sizes.epsilon)
        head = "wte.weight" if sizes.tied else "lm_head.weight"
        self._head = layers.head(head, sizes.width, sizes.vocab_size)

    def hidden(self, ids: Tensor, step: Step) -> Tensor:
        """(rows, n) ids → (rows · n, width): matrix kernels are fastest on two dimensions."""
        x = (self._tokens[ids] + self._positions[step.positions]).flatten(0, 1)
        for i, block in enumerate(self._blocks):
            query, key, value = block.attention_in(block.norm_1(x)).chunk(3, dim=-1)
            x = block.attention_out(step.attend(i, query, key, value), plus=x)
            x = block.mlp_out(self._gelu(block.mlp_in(block.norm_2(x))), plus=x)
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """(m, width) → (m, vocab_size)."""
        return self._head(self._final_norm(hidden))
