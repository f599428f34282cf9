"""Native decoder: what both backends' decoders share."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

import numpy as np

from gptterm.engine.decoders.attention_step import AttentionStep
from gptterm.engine.decoders.base import BatchedCache, Cache, Ids, Logits
from gptterm.engine.decoders.batched_kv_cache import BatchedKVCache
from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.kv_cache import KVCache
from gptterm.engine.decoders.layers import Array
from gptterm.engine.decoders.tap import Floats, Tap, TappedStep

TapStep = Callable[[AttentionStep], AttentionStep]
"""Wraps the step of a pass that is observed."""


class Model(Protocol):
    """Architecture of a native decoder: the arithmetic from ids to logits."""

    architecture: str
    config: DecoderConfig

    def hidden(self, ids: Array, step: AttentionStep) -> Array:
        """(m,) ids → (m, hidden_size) hidden states after the last block."""
        ...

    def logits(self, hidden: Array) -> Array:
        """(m, hidden_size) → (m, vocab_size)."""
        ...


class StepMaker(Protocol):
    """KV cache of any kind."""

    @property
    def length(self) -> int:
        """Tokens of the longest sequence."""
        ...

    def begin_step(self, n: int) -> AttentionStep:
        """Begin a forward pass of `n` new tokens a sequence."""
        ...


class NativeDecoder(ABC):
    """Native decoder of any architecture, on one device."""

    prefill_chunk = 256
    notices: tuple[str, ...] = ()
    attention_refusal = lens_refusal = ""
    supports_speculation: bool

    def __init__(
        self, model: Model, device: str, dtype: str, parameters: int, cache_dtype: str
    ) -> None:
        self._model = model
        config = model.config
        self.architecture = model.architecture
        self.vocab_size = config.vocab_size
        self.context_length = config.context_length
        self.num_layers, self.num_heads = config.num_layers, config.num_heads
        self.device = device
        self.dtype = dtype
        self.parameters = parameters
        self.cache_dtype = cache_dtype

    def limit_context(self, length: int) -> None:
        """See `Decoder.limit_context`."""
        self.context_length = min(self.context_length, length)

    def keep_cache_in(self, dtype: str) -> bool:
        """See `Decoder.keep_cache_in`."""
        return dtype == self.cache_dtype

    @property
    def cache_bytes_per_token(self) -> int:
        return self._model.config.cache_bytes(self.cache_dtype)

    def _cache_shape(self, columns: int) -> tuple[int, int, int, int, int]:
        """(layers, 1, kv_heads, columns, head_dim)."""
        config = self._model.config
        return config.num_layers, 1, config.num_kv_heads, columns, config.head_dim

    @abstractmethod
    def new_cache(self) -> KVCache: ...

    @abstractmethod
    def new_batched_cache(self) -> BatchedKVCache: ...

    def forward(self, ids: Ids, cache: Cache | BatchedCache, *, last: int = 1) -> Logits | None:
        assert isinstance(cache, KVCache | BatchedKVCache)
        n = ids.shape[1]
        hidden = self._feed(self._array(ids), n, cache)
        if last == 0:
            return None
        wanted = hidden[n - 1 :: n] if last == 1 else hidden[-last:]
        return self._host(self._model.logits(wanted))

    def observe(self, ids: Ids, cache: Cache, tap: Tap) -> None:
        """See `Observable.observe`."""
        assert isinstance(cache, KVCache)
        end = cache.length + ids.shape[1]

        def tapped(step: AttentionStep) -> TappedStep:
            return TappedStep(step, tap, lambda layer: cache.keys_of(layer, end), self._host)

        hidden = self._feed(self._array(ids), ids.shape[1], cache, tapped)
        tap.residual(self.num_layers, "input", np.array(self._host(hidden)))

    def unembed(self, residual: Floats) -> Logits:
        """See `Observable.unembed`."""
        return self._host(self._model.logits(self._residual(residual)))

    def _feed(
        self,
        ids: Array,
        n: int,
        cache: StepMaker,
        tapped: TapStep | None = None,
    ) -> Array:
        """(sequences · n,) ids → (sequences · n, hidden_size), appended to the cache.

        Args:
            tapped: wraps the step, for a pass that is observed.
        """
        end = cache.length + n
        if end > self.context_length:
            raise ValueError(f"{end} tokens exceed the model's {self.context_length} positions")
        step = cache.begin_step(n)
        if len(ids) != step.rows:
            raise ValueError(f"{len(ids)} ids for a step of {step.rows}")
        if tapped is None:
            hidden = self._hidden(ids, step)
        else:
            hidden = self._model.hidden(ids, tapped(step))
        step.commit()
        return hidden

    def _hidden(self, ids: Array, step: AttentionStep) -> Array:
        """The page's pass, which nobody observes."""
        return self._model.hidden(ids, step)

    @abstractmethod
    def _array(self, ids: Ids) -> Array:
        """Ids of any shape → (m,), on the device."""

    @abstractmethod
    def _residual(self, x: Floats) -> Array:
        """Residuals on the host → on the device, in the dtype of activations."""

    @abstractmethod
    def _host(self, logits: Array) -> Logits:
        """Logits on the device → float32 on the host."""
