"""A block's layers as OpenAI's checkpoints name them: GPT-1's and GPT-2's."""

from dataclasses import dataclass

from gptterm.engine.decoders.layers import Layers, Norm
from gptterm.engine.decoders.linear import Linear
from gptterm.engine.decoders.sizes import Sizes


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
