"""GPT-2 for training: the architecture of openai-community/gpt2, with that model's weight names.

The forward is this package's own so that training needs nothing but PyTorch; that the weights it
writes are GPT-2's is what `transformers` checks (see the tests).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ModelConfig:
    """Hyper-parameters of a GPT-2."""

    vocab: int = 2560
    positions: int = 1024
    width: int = 192
    layers: int = 4
    heads: int = 4

    def to_transformers(self, eos: int) -> dict[str, Any]:
        """The `config.json` that loads these weights with `GPT2LMHeadModel`."""
        return {
            "architectures": ["GPT2LMHeadModel"],
            "model_type": "gpt2",
            "activation_function": "gelu_new",
            "attn_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "resid_pdrop": 0.0,
            "bos_token_id": eos,
            "eos_token_id": eos,
            "initializer_range": 0.02,
            "layer_norm_epsilon": 1e-05,
            "n_ctx": self.positions,
            "n_embd": self.width,
            "n_head": self.heads,
            "n_inner": None,
            "n_layer": self.layers,
            "n_positions": self.positions,
            "tie_word_embeddings": True,
            "vocab_size": self.vocab,
        }


class Conv1D(nn.Module):
    """GPT-2's linear layer: the weight is stored (in, out), the transpose of `nn.Linear`'s."""

    def __init__(self, size_in: int, size_out: int, std: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size_in, size_out).normal_(std=std))
        self.bias = nn.Parameter(torch.zeros(size_out))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return F.linear(x, self.weight.t(), self.bias)


class Attention(nn.Module):
    """Causal self-attention over `heads` heads."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        width = config.width
        self.c_attn = Conv1D(width, 3 * width, 0.02)
        self.c_proj = Conv1D(width, width, 0.02 / math.sqrt(2 * config.layers))

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, width) to the same shape."""
        batch, time, width = x.shape
        query, key, value = (
            part.view(batch, time, self.heads, width // self.heads).transpose(1, 2)
            for part in self.c_attn(x).split(width, dim=2)
        )
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return cast("Tensor", self.c_proj(mixed.transpose(1, 2).reshape(batch, time, width)))


class MLP(nn.Module):
    """The feed-forward half of a block."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.c_fc = Conv1D(config.width, 4 * config.width, 0.02)
        self.c_proj = Conv1D(4 * config.width, config.width, 0.02 / math.sqrt(2 * config.layers))

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) to the same shape."""
        return cast("Tensor", self.c_proj(F.gelu(self.c_fc(x), approximate="tanh")))


class Block(nn.Module):
    """One pre-norm transformer block."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.width)
        self.attn = Attention(config)
        self.ln_2 = nn.LayerNorm(config.width)
        self.mlp = MLP(config)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, width) to the same shape."""
        x = x + self.attn(self.ln_1(x))
        return cast("Tensor", x + self.mlp(self.ln_2(x)))


def sinusoids(positions: int, width: int, amplitude: float) -> Tensor:
    """Initial position embeddings (positions, width): the sinusoids of Vaswani et al. (2017).

    They are learned on from there. A head that looks one token back is a rotation of them, the
    same at all positions; from noise it would have to be learned anew for every position.
    """
    angles = torch.arange(positions)[:, None] * rates(positions, width)
    return amplitude * torch.cat([angles.sin(), angles.cos()], dim=1)


def rates(positions: int, width: int) -> Tensor:
    """Frequencies of the sinusoids (width / 2), in radians a position, highest first."""
    waves = width // 2
    return 2 * torch.exp(-math.log(2 * positions) * torch.arange(waves) / waves)


def look_back(weight: Tensor, config: ModelConfig, gain: float = 4.0) -> None:
    """Initialise a block's first head, in `c_attn` (width, 3 width), to attend one token back.

    Its keys are the fastest waves and its queries the same waves one position earlier. Induction
    is built on such a head; in a run of a few million tokens it does not form by itself.
    """
    size = config.width // config.heads
    pairs = torch.arange(size // 2)
    turn = rates(config.positions, config.width)[: size // 2]
    sine, cosine = pairs, pairs + config.width // 2
    keys = config.width
    weight[:, :size] = 0
    weight[:, keys : keys + size] = 0
    weight[sine, keys + pairs] = gain
    weight[cosine, keys + pairs + size // 2] = gain
    weight[sine, pairs] = gain * turn.cos()
    weight[cosine, pairs] = -gain * turn.sin()
    weight[cosine, pairs + size // 2] = gain * turn.cos()
    weight[sine, pairs + size // 2] = gain * turn.sin()


class GPT2(nn.Module):
    """A GPT-2 with its head tied to the token embedding."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.wte = nn.Embedding(config.vocab, config.width)
        self.wpe = nn.Embedding(config.positions, config.width)
        self.h = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.ln_f = nn.LayerNorm(config.width)
        nn.init.normal_(self.wte.weight, std=0.05)
        self.wpe.weight.data.copy_(sinusoids(config.positions, config.width, 0.14))
        first = cast("Block", self.h[0])
        look_back(first.attn.c_attn.weight.data, config)

    def hidden(self, ids: Tensor) -> Tensor:
        """Ids (batch, time) to final hidden states (batch, time, width)."""
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1], device=ids.device))
        for block in self.h:
            x = block(x)
        return cast("Tensor", self.ln_f(x))

    def losses(self, ids: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy in nats of each target that is not -1, in order; both (batch, time)."""
        wanted = targets.reshape(-1) >= 0
        states = self.hidden(ids).reshape(-1, self.config.width)[wanted]
        logits = F.linear(states, self.wte.weight)
        return F.cross_entropy(logits.float(), targets.reshape(-1)[wanted], reduction="none")
