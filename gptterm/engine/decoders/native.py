"""GPT-2's forward pass (Radford et al., 2019), a page to read beside the paper.

Weights are views into the mapped safetensors files where the dtype and device allow it, so that
nothing is copied or converted at start-up. transformers is never imported.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gptterm.engine.decoders import linear
from gptterm.engine.decoders.base import Cache
from gptterm.engine.decoders.linear import Linear
from gptterm.engine.decoders.weights import Weights
from gptterm.errors import ModelError

Norm = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class GPT2Config:
    """The part of config.json that the forward pass depends on."""

    vocab_size: int
    n_positions: int
    n_embd: int
    n_inner: int
    n_layer: int
    n_head: int
    layer_norm_epsilon: float
    tie_word_embeddings: bool

    @classmethod
    def read(cls, config: dict[str, Any]) -> "GPT2Config | None":
        """The configuration, or None for a variant of GPT-2 that this module does not compute.

        Raises:
            ModelError: a size is no size.
        """
        variant = (
            config.get("model_type") != "gpt2"
            or config.get("activation_function", "gelu_new") not in _ACTIVATIONS
            or not config.get("scale_attn_weights", True)
            or config.get("scale_attn_by_inverse_layer_idx", False)
            or config.get("reorder_and_upcast_attn", False)
            or config.get("add_cross_attention", False)
            or "quantization_config" in config
        )
        if variant:
            return None

        def size(name: str, default: int) -> int:
            value = config.get(name, default)
            if type(value) is not int or value < 1:
                raise ModelError(f"config.json: {name} must be a positive integer, not {value!r}")
            return value

        width, heads = size("n_embd", 768), size("n_head", 12)
        if width % heads:
            raise ModelError(f"config.json: n_embd {width} is not a multiple of n_head {heads}")
        return cls(
            vocab_size=size("vocab_size", 50257),
            n_positions=size("n_positions", 1024),
            n_embd=width,
            n_inner=4 * width if config.get("n_inner") is None else size("n_inner", 0),
            n_layer=size("n_layer", 12),
            n_head=heads,
            layer_norm_epsilon=float(config.get("layer_norm_epsilon", 1e-5)),
            tie_word_embeddings=bool(config.get("tie_word_embeddings", True)),
        )


# gelu_new is GELU's tanh approximation (Hendrycks and Gimpel, 2016).
_ACTIVATIONS = ("gelu_new", "gelu_pytorch_tanh")


@dataclass(frozen=True)
class Block:
    """One transformer block."""

    norm_1: Norm
    attention_in: Linear
    attention_out: Linear
    norm_2: Norm
    mlp_in: Linear
    mlp_out: Linear


class KVCache:
    """Keys and values of every layer, (layers, rows, heads, capacity, head_dim) each.

    Allocated whole, once: memory that no token has reached yet costs nothing on a CPU, and a step
    writes one column instead of copying the past.
    """

    def __init__(self, keys: Tensor, values: Tensor, length: int = 0) -> None:
        self.keys = keys
        self.values = values
        self.length = length

    def crop(self, length: int) -> int:
        self.length = min(self.length, length)
        return self.length

    def fork(self, rows: int, capacity: int) -> "KVCache":
        layers, _, heads, _, head_dim = self.keys.shape
        shape = (layers, rows, heads, max(capacity, self.length), head_dim)
        forked = KVCache(self.keys.new_empty(shape), self.values.new_empty(shape), self.length)
        forked.keys[:, :, :, : self.length] = self.keys[:, :, :, : self.length]
        forked.values[:, :, :, : self.length] = self.values[:, :, :, : self.length]
        return forked

    def select(self, rows: list[int]) -> None:
        index = torch.tensor(rows, device=self.keys.device)
        self.keys = self.keys.index_select(1, index)
        self.values = self.values.index_select(1, index)


class GPT2:
    """A GPT-2 of any size on one device."""

    architecture = "GPT2LMHeadModel"
    prefill_chunk = 256

    def __init__(self, config: GPT2Config, weights: Weights, device: str, dtype: str) -> None:
        self._config = config
        self._device = torch.device(device)
        self.device = device
        self.dtype = dtype
        self.vocab_size = config.vocab_size
        self.context_length = config.n_positions
        # Weights that are packed for a CPU kernel meet float32 activations, bfloat16's excepted.
        self._compute = torch.float32 if dtype == "int8" else getattr(torch, dtype)
        if device == "cpu" and dtype == "float16":
            self._compute = torch.float32
        self._build(weights)
        self.parameters = weights.parameters

    @classmethod
    def load(
        cls, directory: Path, config: dict[str, Any], device: str, dtype: str
    ) -> "GPT2 | None":
        """Read a model directory; None if its config.json does not describe plain GPT-2.

        Raises:
            ModelError: the files are damaged, or do not hold the weights that it describes.
        """
        plain = GPT2Config.read(config)
        if plain is None or (dtype == "int8" and device != "cpu"):
            return None
        return cls(plain, Weights(directory, prefix="transformer."), device, dtype)

    def _build(self, weights: Weights) -> None:
        config, width = self._config, self._config.n_embd
        packs = self._device.type == "cpu" and self.dtype != "float32"

        def tensor(name: str, *shape: int) -> Tensor:
            return weights.take(name, *shape).to(self._device, self._compute)

        def norm(name: str) -> Norm:
            return tensor(f"{name}.weight", width), tensor(f"{name}.bias", width)

        def project(name: str, inner: int, outer: int) -> Linear:
            bias = tensor(f"{name}.bias", outer)
            if packs:
                return self._packed(weights.take(f"{name}.weight", inner, outer).t(), bias)
            return linear.plain(tensor(f"{name}.weight", inner, outer), bias)

        self._tokens = tensor("wte.weight", config.vocab_size, width)
        self._positions = tensor("wpe.weight", config.n_positions, width)
        self._blocks = [
            Block(
                norm_1=norm(f"h.{i}.ln_1"),
                attention_in=project(f"h.{i}.attn.c_attn", width, 3 * width),
                attention_out=project(f"h.{i}.attn.c_proj", width, width),
                norm_2=norm(f"h.{i}.ln_2"),
                mlp_in=project(f"h.{i}.mlp.c_fc", width, config.n_inner),
                mlp_out=project(f"h.{i}.mlp.c_proj", config.n_inner, width),
            )
            for i in range(config.n_layer)
        ]
        self._final_norm = norm("ln_f")
        head = "wte.weight" if config.tie_word_embeddings else "lm_head.weight"
        if packs:
            self._head = self._packed(weights.take(head, config.vocab_size, width), None)
        elif config.tie_word_embeddings:
            self._head = linear.plain_head(self._tokens)
        else:
            self._head = linear.plain_head(tensor(head, config.vocab_size, width))

    def _packed(self, weight: Tensor, bias: Tensor | None) -> Linear:
        """The CPU's layer for a dtype other than float32, from (out, in) weights."""
        if self.dtype == "int8":
            return linear.int8(weight, bias)
        if self.dtype == "float16":
            return linear.half(weight, bias)
        return linear.prepacked(weight.to(self._compute), bias)

    def new_cache(self) -> KVCache:
        config = self._config
        head_dim = config.n_embd // config.n_head
        shape = (config.n_layer, 1, config.n_head, config.n_positions, head_dim)
        keys = torch.empty(shape, dtype=self._compute, device=self._device)
        return KVCache(keys, torch.empty_like(keys))

    @torch.inference_mode()
    def forward(self, ids: Tensor, cache: Cache, *, logits: bool = True) -> Tensor | None:
        assert isinstance(cache, KVCache)
        rows, n = ids.shape
        end = cache.length + n
        if end > self.context_length:
            raise ValueError(f"{end} tokens exceed the model's {self.context_length} positions")
        mask = self._mask(cache.length, end)
        # From here on x is (rows · n, n_embd): matrix kernels are fastest on two dimensions.
        x = self._tokens[ids.to(self._device)] + self._positions[cache.length : end]
        x = x.view(rows * n, -1)
        for layer, block in enumerate(self._blocks):
            attended = self._attention(
                block, self._norm(x, block.norm_1), cache, layer, (rows, n), mask
            )
            x = x + attended
            hidden = F.gelu(block.mlp_in(self._norm(x, block.norm_2)), approximate="tanh")
            x = x + block.mlp_out(hidden)
        cache.length = end
        if not logits:
            return None
        last = x.view(rows, n, -1)[:, -1]
        return self._head(self._norm(last, self._final_norm)).float()

    def _norm(self, x: Tensor, norm: Norm) -> Tensor:
        return torch.layer_norm(
            x, (self._config.n_embd,), norm[0], norm[1], self._config.layer_norm_epsilon
        )

    def _attention(
        self,
        block: Block,
        x: Tensor,
        cache: KVCache,
        layer: int,
        shape: tuple[int, int],
        mask: Tensor | None,
    ) -> Tensor:
        rows, n = shape
        start, end = cache.length, cache.length + n
        heads = self._config.n_head
        qkv = block.attention_in(x).view(rows, n, 3, heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        keys, values = cache.keys[layer], cache.values[layer]
        keys[:, :, start:end] = key
        values[:, :, start:end] = value
        out = F.scaled_dot_product_attention(
            query,
            keys[:, :, :end],
            values[:, :, :end],
            attn_mask=mask,
            is_causal=mask is None and n > 1,
        )
        return block.attention_out(out.transpose(1, 2).reshape(rows * n, -1))

    def _mask(self, start: int, end: int) -> Tensor | None:
        """(n, end) booleans, True where a new token may look; None where none is needed."""
        n = end - start
        if n == 1 or start == 0:
            return None
        mask = torch.ones(n, end, dtype=torch.bool, device=self._device)
        return mask.tril(diagonal=start)
