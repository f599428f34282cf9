"""Native decoders of the GPT family, loaded from config.json and safetensors files.

They never import transformers, whose import takes longer than loading a model.
"""

from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.base import BatchedCache, Cache
from gptterm.engine.decoders.batched_kv_cache import BatchedKVCache
from gptterm.engine.decoders.config import DecoderConfig, parse_config
from gptterm.engine.decoders.gpt1 import GPT1
from gptterm.engine.decoders.gpt2 import GPT2
from gptterm.engine.decoders.gpt_neo import GPTNeo
from gptterm.engine.decoders.int8_weights import Int8Weights
from gptterm.engine.decoders.kv_cache import KVCache
from gptterm.engine.decoders.layers import LayerLoader
from gptterm.engine.decoders.static_kv_cache import StaticKVCache
from gptterm.engine.decoders.weights import Weights
from gptterm.engine.kernels.library import library

# By config.json's model_type.
_ARCHITECTURES: dict[str, type[GPT1] | type[GPT2] | type[GPTNeo]] = {
    "openai-gpt": GPT1,
    "gpt2": GPT2,
    "gpt_neo": GPTNeo,
}


class Model(Protocol):
    """Architecture of a native decoder: the arithmetic from ids to logits."""

    architecture: str
    config: DecoderConfig

    def hidden(self, ids: Tensor, step: AttentionStep) -> Tensor:
        """(rows, n) ids → (rows · n, hidden_size) hidden states after the last block."""
        ...

    def logits(self, hidden: Tensor) -> Tensor:
        """(m, hidden_size) → (m, vocab_size)."""
        ...


def load(
    directory: Path,
    config_json: dict[str, Any],
    device: str,
    dtype: str,
    int8_weights: Int8Weights | None = None,
) -> "NativeDecoder | None":
    """Load a model directory; None if there is no native decoder for its config.json.

    Args:
        int8_weights: supplies int8 weights; by default they are quantised now.

    Raises:
        ModelError: the files are damaged, or do not hold the weights that config.json describes;
            or the CPU has no kernels for the dtype.
    """
    config = parse_config(config_json)
    if config is None or (dtype == "int8" and device != "cpu"):
        return None
    weights = Weights(directory, prefix="transformer.")
    loader = LayerLoader(weights, device, dtype, int8_weights)
    model = _ARCHITECTURES[config_json["model_type"]](config, loader)
    loader.release_pages()
    return NativeDecoder(model, device, dtype, loader.cache_dtype, weights.parameters)


class NativeDecoder:
    """Native decoder of any of these architectures, on one device.

    Args:
        cache_dtype: of keys and values.
    """

    prefill_chunk = 256

    def __init__(
        self, model: Model, device: str, dtype: str, cache_dtype: torch.dtype, parameters: int
    ) -> None:
        self._model = model
        self._cache_dtype = cache_dtype
        self.architecture = model.architecture
        self.vocab_size = model.config.vocab_size
        self.context_length = model.config.context_length
        self.device = device
        self.dtype = dtype
        self.parameters = parameters
        numbers = 2 * model.config.num_layers * model.config.num_heads * model.config.head_dim
        self.cache_bytes_per_token = numbers * cache_dtype.itemsize
        # A row has the same bits alone and in a batch with the kernels, not with torch.
        self.supports_speculation = device == "cpu" and library() is not None

    def new_cache(self) -> KVCache:
        config = self._model.config
        shape = (config.num_layers, 1, config.num_heads, config.context_length, config.head_dim)
        keys = torch.empty(shape, dtype=self._cache_dtype, device=self.device)
        return KVCache(keys, torch.empty_like(keys))

    def new_batched_cache(self) -> BatchedKVCache:
        return BatchedKVCache()

    @torch.inference_mode()
    def forward(
        self, ids: Tensor, cache: Cache | BatchedCache | StaticKVCache, *, last: int = 1
    ) -> Tensor | None:
        assert isinstance(cache, KVCache | BatchedKVCache | StaticKVCache)
        n = ids.shape[1]
        end = cache.length + n
        if end > self.context_length:
            raise ValueError(f"{end} tokens exceed the model's {self.context_length} positions")
        step = cache.begin_step(n)
        hidden = self._model.hidden(ids.to(self.device), step)
        step.commit()
        if last == 0:
            return None
        wanted = hidden[n - 1 :: n] if last == 1 else hidden[-last:]
        return self._model.logits(wanted).float()

    @torch.inference_mode()
    def all_logits(self, ids: Tensor) -> Tensor:
        """(n,) ids of a text from its start → (n, vocab_size) float32 logits after each."""
        step = self.new_cache().begin_step(len(ids))
        hidden = self._model.hidden(ids.to(self.device)[None], step)
        return self._model.logits(hidden).float()
