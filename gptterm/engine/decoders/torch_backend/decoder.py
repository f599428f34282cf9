"""Native decoder on torch."""

import torch
from torch import Tensor

from gptterm.engine.decoders.base import BatchedCache, Cache, Ids, Logits
from gptterm.engine.decoders.native_decoder import Model, NativeDecoder
from gptterm.engine.decoders.tap import Floats, Tap
from gptterm.engine.decoders.torch_backend.kv_cache import TorchBatchedKVCache, TorchKVCache
from gptterm.engine.decoders.torch_backend.static_kv_cache import StaticKVCache

_WITHOUT_KERNELS = (
    "gptterm's kernels were not built, so torch computes: starts and tokens take longer; install"
    " a C compiler (Debian: gcc), then gptterm again"
)


_FIRST_COLUMNS = 512
"""Tokens that a new KV cache has room for."""


class TorchDecoder(NativeDecoder):
    """Decoder on a GPU, or on a CPU without kernels."""

    # The bits of a row vary with the number of rows.
    supports_speculation = False

    def __init__(self, model: Model, device: str, dtype: str, parameters: int) -> None:
        super().__init__(model, device, dtype, parameters, dtype)
        self._torch_dtype: torch.dtype = getattr(torch, dtype)
        if device == "cpu":
            self.notices = (_WITHOUT_KERNELS,)

    def new_cache(self) -> TorchKVCache:
        shape = self._cache_shape(min(self.context_length, _FIRST_COLUMNS))
        keys = torch.empty(shape, dtype=self._torch_dtype, device=self.device)
        return TorchKVCache(keys, torch.empty_like(keys), limit=self.context_length)

    def new_batched_cache(self) -> TorchBatchedKVCache:
        return TorchBatchedKVCache()

    @torch.inference_mode()
    def forward(self, ids: Ids, cache: Cache | BatchedCache, *, last: int = 1) -> Logits | None:
        return super().forward(ids, cache, last=last)

    @torch.inference_mode()
    def observe(self, ids: Ids, cache: Cache, tap: Tap) -> None:
        super().observe(ids, cache, tap)

    @torch.inference_mode()
    def unembed(self, residual: Floats) -> Logits:
        return super().unembed(residual)

    @torch.inference_mode()
    def step(self, ids: Tensor, cache: StaticKVCache) -> Tensor:
        """One token of each row, without waiting for it: what a CUDA graph captures.

        Args:
            ids: (rows,) int64 on the device.

        Returns:
            Raw logits in float32 on the device, (rows, vocab_size).
        """
        logits: Tensor = self._model.logits(self._feed(ids, 1, cache))
        return logits.float()

    def _array(self, ids: Ids) -> Tensor:
        return torch.from_numpy(ids.reshape(-1)).to(self.device)

    def _residual(self, x: Floats) -> Tensor:
        return torch.from_numpy(x).to(self.device, self._torch_dtype)

    def _host(self, logits: Tensor) -> Logits:
        array: Logits = logits.float().cpu().numpy()
        return array
