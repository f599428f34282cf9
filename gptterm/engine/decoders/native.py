"""Decoders of our own for the GPT family, from config.json and safetensors files.

transformers, whose import takes longer than a model's, is never imported.
"""

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from gptterm.engine.decoders.base import Cache, Rows
from gptterm.engine.decoders.batched_kv_cache import KVRows
from gptterm.engine.decoders.config import Sizes, read
from gptterm.engine.decoders.gpt1 import GPT1
from gptterm.engine.decoders.gpt2 import GPT2
from gptterm.engine.decoders.gpt_neo import GPTNeo
from gptterm.engine.decoders.int8_weights import Quantised
from gptterm.engine.decoders.kv_cache import KVCache, Step
from gptterm.engine.decoders.layers import Layers
from gptterm.engine.decoders.static_kv_cache import StaticCache
from gptterm.engine.decoders.weights import Weights
from gptterm.engine.kernels.library import library

# By config.json's model_type.
_ARCHITECTURES: dict[str, type[GPT1] | type[GPT2] | type[GPTNeo]] = {
    "openai-gpt": GPT1,
    "gpt2": GPT2,
    "gpt_neo": GPTNeo,
}


class Model(Protocol):
    """An architecture: the arithmetic between ids and logits."""

    architecture: str
    sizes: Sizes

    def hidden(self, ids: Tensor, step: Step) -> Tensor:
        """(rows, n) ids → (rows · n, width) hidden states after the last block."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """(m, width) → (m, vocab_size)."""
        ...


def load(
    directory: Path,
    config: dict[str, Any],
    device: str,
    dtype: str,
    quantised: Quantised | None = None,
) -> "Native | None":
    """Read a model directory; None if its config.json describes something not computed here.

    Args:
        quantised: where int8 weights come from, instead of being made anew.

    Raises:
        ModelError: the files are damaged, or do not hold the weights that it describes; or the
            CPU has no kernels for the dtype.
    """
    sizes = read(config)
    if sizes is None or (dtype == "int8" and device != "cpu"):
        return None
    weights = Weights(directory, prefix="transformer.")
    layers = Layers(weights, device, dtype, quantised)
    model = _ARCHITECTURES[config["model_type"]](sizes, layers)
    layers.finish()
    return Native(model, device, dtype, layers.past, weights.parameters)


class Native:
    """A model of any of these architectures on one device.

    Args:
        past: what keys and values are kept in.
    """

    prefill_chunk = 256

    def __init__(
        self, model: Model, device: str, dtype: str, past: torch.dtype, parameters: int
    ) -> None:
        self._model = model
        self._past = past
        self.architecture = model.architecture
        self.vocab_size = model.sizes.vocab_size
        self.context_length = model.sizes.context_length
        self.device = device
        self.dtype = dtype
        self.parameters = parameters
        # The kernels' rows are the same alone and among others; torch's are not.
        self.takes_drafts = device == "cpu" and library() is not None

    def new_cache(self) -> KVCache:
        sizes = self._model.sizes
        shape = (sizes.layers, 1, sizes.heads, sizes.context_length, sizes.head_dim)
        keys = torch.empty(shape, dtype=self._past, device=self.device)
        return KVCache(keys, torch.empty_like(keys))

    def new_rows(self) -> KVRows:
        return KVRows()

    @torch.inference_mode()
    def forward(
        self, ids: Tensor, cache: Cache | Rows | StaticCache, *, last: int = 1
    ) -> Tensor | None:
        assert isinstance(cache, KVCache | KVRows | StaticCache)
        n = ids.shape[1]
        end = n + (max(cache.lengths) if isinstance(cache, KVRows) else cache.length)
        if end > self.context_length:
            raise ValueError(f"{end} tokens exceed the model's {self.context_length} positions")
        step = cache.start(n)
        hidden = self._model.hidden(ids.to(self.device), step)
        step.finish()
        if last == 0:
            return None
        wanted = hidden[n - 1 :: n] if last == 1 else hidden[-last:]
        return self._model.logits(wanted).float()

    @torch.inference_mode()
    def every_logits(self, ids: Tensor) -> Tensor:
        """(n,) ids of a text from its start → (n, vocab_size) float32: the logits after each."""
        hidden = self._model.hidden(ids.to(self.device)[None], self.new_cache().start(len(ids)))
        return self._model.logits(hidden).float()
