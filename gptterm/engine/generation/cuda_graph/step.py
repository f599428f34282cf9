"""One token more for every row, in fixed buffers: run as it is, or captured once and replayed."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gptterm.engine.api import SamplingParams
from gptterm.engine.decoders.native import NativeDecoder
from gptterm.engine.decoders.static_kv_cache import StaticKVCache
from gptterm.engine.sampling.chain import TokenCounts
from gptterm.engine.sampling.device_chain import (
    DenseTokenCounts,
    DeviceChain,
    DeviceParams,
    copy_async,
    sample_tokens,
)

UNIFORMS = 64
"""Random numbers a row that are sent ahead at once."""

_log = logging.getLogger(__name__)

_Variant = tuple[DeviceChain, int]
"""What a graph is captured for: the sampler chain and the cache's bucket."""


class DecodeStep:
    """A step's code and all that it reads and writes.

    On a GPU the first step of a variant runs as it is, which gets the libraries ready and gives
    its token at once; the second is captured; to replay it costs the host one launch. Where a
    capture fails, the log says so and steps go on running as they are.

    Attributes:
        cache: of all rows.
        ids: (rows,) int64: fed by a step, and then what it has drawn; see
            `device_chain.sample_tokens`.
        logits: (rows, vocabulary) float32, raw, that they were drawn from.
    """

    def __init__(self, decoder: NativeDecoder, cache: StaticKVCache) -> None:
        rows, vocabulary, device = cache.rows, decoder.vocab_size, decoder.device
        self.cache = cache
        self.ids = torch.zeros(rows, dtype=torch.int64, device=device)
        self.logits = torch.zeros(rows, vocabulary, device=device)
        self._decoder = decoder
        self._values = DeviceParams(vocabulary, device)
        seen = torch.zeros(rows, vocabulary, dtype=torch.bool, device=device)
        self._past = DenseTokenCounts(seen, torch.zeros(rows, vocabulary, device=device))
        self._uniforms = torch.zeros(rows, UNIFORMS, dtype=torch.float64, device=device)
        self._next_uniform = torch.zeros((), dtype=torch.int64, device=device)
        self._params: SamplingParams | None = None
        self._chain = DeviceChain.for_params(SamplingParams(), vocabulary)
        self._captures = device.startswith("cuda")
        self._pool: Any = None
        self._graphs: dict[_Variant, torch.cuda.CUDAGraph | None] = {}

    @torch.inference_mode()
    def start(self, length: int, ids: Sequence[int], histories: Sequence[TokenCounts]) -> None:
        """Go on from `length` tokens in the cache of every row.

        Args:
            ids: to be fed next, one a row; the histories hold them already.
        """
        self.cache.rewind(length)
        copy_async(torch.tensor(ids), self.ids)
        self._next_uniform.zero_()
        for row, history in enumerate(histories):
            seen, counts = (x[row].zero_() for x in self._past)
            known = torch.from_numpy(history.ids).to(seen.device)
            seen[known] = True
            counts[known] = torch.from_numpy(history.counts).to(counts.device)

    @torch.inference_mode()
    def set_sampling(self, params: SamplingParams) -> None:
        """How the steps from the next one on draw."""
        if params != self._params:
            self._params = params
            self._chain = DeviceChain.for_params(params, self.logits.shape[1])
            self._values.set(params)

    @property
    def draws(self) -> bool:
        """Whether the next step uses up a random number of each row."""
        return not self._chain.greedy

    @torch.inference_mode()
    def set_uniforms(self, uniforms: Tensor) -> None:
        """The next `UNIFORMS` random numbers of each row, (rows, UNIFORMS) float64."""
        copy_async(uniforms, self._uniforms)

    @torch.inference_mode()
    def launch(self) -> None:
        """Feed `ids` and put what is drawn in their place, without waiting for it."""
        variant = (self._chain, self.cache.bucket)
        graph = self._graph(variant) if self._captures else None
        if graph is None:
            self._step(self._chain)
        else:
            graph.replay()
        self.cache.length += 1

    def _step(self, chain: DeviceChain) -> None:
        # What stands for an error is no id; the host will read it and stop.
        logits = self._decoder.forward(self.ids.clamp(min=0).unsqueeze(1), self.cache)
        assert logits is not None
        self.logits.copy_(logits)
        column = (self._next_uniform % UNIFORMS).view(1)
        uniforms = self._uniforms.index_select(1, column)
        self.ids.copy_(sample_tokens(self.logits, chain, self._values, self._past, uniforms))
        drawn = self.ids.clamp(min=0).unsqueeze(1)
        self._past.seen.scatter_(1, drawn, value=True)
        self._past.counts.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float32))
        if not chain.greedy:
            self._next_uniform += 1

    def _graph(self, variant: _Variant) -> torch.cuda.CUDAGraph | None:
        """None: run this step as it is."""
        if variant not in self._graphs:
            self._graphs[variant] = None
            return None
        if self._graphs[variant] is None:
            self._graphs[variant] = self._captured(variant[0])
        return self._graphs[variant]

    def _captured(self, chain: DeviceChain) -> torch.cuda.CUDAGraph | None:
        try:
            graph = torch.cuda.CUDAGraph()
            if self._pool is None:
                # One for all: graphs run one after the other, and what lasts lies outside.
                self._pool = torch.cuda.graph_pool_handle()
            # Other threads may use the GPU meanwhile.
            with torch.cuda.graph(graph, self._pool, capture_error_mode="thread_local"):
                self._step(chain)
        except RuntimeError as error:
            self._captures = False
            _log.warning("steps are launched one by one, since no CUDA graph is made: %s", error)
            return None
        return graph
