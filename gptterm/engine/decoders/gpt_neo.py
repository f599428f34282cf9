"""GPT-Neo's forward pass, a page to read beside GPT-2's.

Black et al., "GPT-Neo: Large Scale Autoregressive Language Modeling with Mesh-Tensorflow", 2021.
It differs from GPT-2 in its attention: scores are not scaled, and in some layers (every second
one, in the published models) a token looks back no further than a window.
"""

from dataclasses import dataclass

from torch import Tensor

from gptterm.engine.decoders.config import Sizes
from gptterm.engine.decoders.kv_cache import Step
from gptterm.engine.decoders.layers import Layers, Norm
from gptterm.engine.decoders.torch_linear import Linear


@dataclass(frozen=True)
class Block:
    """One transformer block."""

    window: int | None
    norm_1: Norm
    query: Linear
    key: Linear
    value: Linear
    attention_out: Linear
    norm_2: Norm
    mlp_in: Linear
    mlp_out: Linear


class GPTNeo:
    """A GPT-Neo of any size."""

    architecture = "GPTNeoForCausalLM"

    def __init__(self, sizes: Sizes, layers: Layers) -> None:
        self.sizes = sizes
        self._tokens = layers.tensor("wte.weight", sizes.vocab_size, sizes.width)
        self._positions = layers.tensor("wpe.weight", sizes.context_length, sizes.width)
        self._blocks = [_block(f"h.{i}", sizes, layers, w) for i, w in enumerate(sizes.windows)]
        self._gelu = layers.gelu
        self._final_norm = layers.norm("ln_f", sizes.width, sizes.epsilon)
        head = "wte.weight" if sizes.tied else "lm_head.weight"
        self._head = layers.head(head, sizes.width, sizes.vocab_size)

    def hidden(self, ids: Tensor, step: Step) -> Tensor:
        """(rows, n) ids → (rows · n, width)."""
        x = (self._tokens[ids] + self._positions[step.positions]).flatten(0, 1)
        for i, block in enumerate(self._blocks):
            y = block.norm_1(x)
            query, key, value = block.query(y), block.key(y), block.value(y)
            attended = step.attend(i, query, key, value, scale=1.0, window=block.window)
            x = block.attention_out(attended, plus=x)
            x = block.mlp_out(self._gelu(block.mlp_in(block.norm_2(x))), plus=x)
        return x

    def logits(self, hidden: Tensor) -> Tensor:
        """(m, width) → (m, vocab_size)."""
        return self._head(self._final_norm(hidden))


def _block(name: str, sizes: Sizes, layers: Layers, window: int | None) -> Block:
    width, inner, epsilon = sizes.width, sizes.inner, sizes.epsilon
    attention = f"{name}.attn.attention"
    return Block(
        window=window,
        norm_1=layers.norm(f"{name}.ln_1", width, epsilon),
        query=layers.linear(f"{attention}.q_proj", width, width, bias=False),
        key=layers.linear(f"{attention}.k_proj", width, width, bias=False),
        value=layers.linear(f"{attention}.v_proj", width, width, bias=False),
        attention_out=layers.linear(f"{attention}.out_proj", width, width),
        norm_2=layers.norm(f"{name}.ln_2", width, epsilon),
        mlp_in=layers.linear(f"{name}.mlp.c_fc", width, inner),
        mlp_out=layers.linear(f"{name}.mlp.c_proj", inner, width),
    )
