"""Native decoder on the C kernels."""

import numpy as np
from numpy.typing import NDArray

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.base import Ids, Logits
from gptterm.engine.decoders.kernel_backend.kv_cache import (
    KernelBatchedKVCache,
    KernelKVCache,
    KernelStep,
    reserve,
)
from gptterm.engine.decoders.kernel_backend.layers import KernelLayers
from gptterm.engine.decoders.kernel_backend.recording import MOST_ROWS, record
from gptterm.engine.decoders.layers import Array
from gptterm.engine.decoders.native_decoder import Model, NativeDecoder
from gptterm.engine.item_sizes import kv_width
from gptterm.engine.kernels.compiled import Floats


class KernelDecoder(NativeDecoder):
    """Decoder on a CPU, over NumPy arrays and mapped files."""

    # A row has the same bits alone and in a batch.
    supports_speculation = True

    def __init__(self, model: Model, layers: KernelLayers, parameters: int) -> None:
        super().__init__(model, "cpu", layers.dtype, parameters, layers.cache_dtype)
        self.notices = layers.notices
        self._recorded = record(model)

    def keep_cache_in(self, dtype: str) -> bool:
        self.cache_dtype = dtype
        return True

    def new_cache(self) -> KernelKVCache:
        *rows, head_dim = self._cache_shape(self.context_length)
        shape = (*rows, kv_width(self.cache_dtype, head_dim))
        keys, values = (reserve(shape, np.dtype(self.cache_dtype)) for _ in range(2))
        return KernelKVCache(keys, values)

    def new_batched_cache(self) -> KernelBatchedKVCache:
        return KernelBatchedKVCache()

    def _hidden(self, ids: Array, step: AttentionStep) -> Array:
        if self._recorded is not None and isinstance(step, KernelStep) and step.rows <= MOST_ROWS:
            hidden = self._recorded(ids, step)
            if hidden is not None:
                return hidden
        return super()._hidden(ids, step)

    def _array(self, ids: Ids) -> NDArray[np.int64]:
        return ids.reshape(-1)

    def _residual(self, x: Floats) -> Floats:
        return np.ascontiguousarray(x, np.float32)

    def _host(self, logits: Logits) -> Logits:
        return logits
