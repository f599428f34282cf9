"""The KV caches of either backend, filled and read by tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.batched_kv_cache import BatchedKVCache
from gptterm.engine.decoders.kernel_backend.kv_cache import KernelBatchedKVCache, KernelKVCache
from gptterm.engine.decoders.kv_cache import KVCache
from gptterm.engine.decoders.torch_backend.kv_cache import TorchBatchedKVCache, TorchKVCache


@dataclass(frozen=True)
class Backend:
    """Kinds of KV caches, and conversions to its arrays and back."""

    name: str
    kv_cache: Callable[[Any, Any, int], KVCache]
    batched_kv_cache: Callable[[], BatchedKVCache]
    array: Callable[[Tensor], Any]
    tensor: Callable[[Any], Tensor]

    def sequence(self, keys: Tensor, values: Tensor, length: int = 0) -> KVCache:
        """A cache of one sequence."""
        return self.kv_cache(self.array(keys), self.array(values), length)

    @torch.inference_mode()
    def attend(
        self,
        step: AttentionStep,
        layer: int,
        rows: Tensor,
        *,
        scale: float | None = None,
        window: int | None = None,
        soft_cap: float | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        """`AttentionStep.attend` to (3, rows, width) queries, keys and values."""
        query, key, value = map(self.array, rows)
        found = step.attend(
            *(layer, query, key, value),
            scale=scale,
            window=window,
            soft_cap=soft_cap,
            bias=None if bias is None else self.array(bias),
        )
        return self.tensor(found).clone()


KERNELS = Backend("kernels", KernelKVCache, KernelBatchedKVCache, Tensor.numpy, torch.from_numpy)
TORCH = Backend("torch", TorchKVCache, TorchBatchedKVCache, lambda x: x, lambda x: x)
