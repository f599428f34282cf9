"""One decoding step in fixed buffers: run eagerly, or captured once and replayed."""

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from gptterm.engine.api import SamplingParams
from gptterm.engine.decoders.torch_backend.decoder import TorchDecoder
from gptterm.engine.decoders.torch_backend.static_kv_cache import StaticKVCache
from gptterm.engine.generation.cuda_graph.graph import (
    Capture,
    CheckedGraph,
    CudaCapture,
    StepState,
    agrees,
)
from gptterm.engine.sampling.chain import TokenCounts
from gptterm.engine.sampling.device_chain import (
    DenseTokenCounts,
    DeviceChain,
    DeviceParams,
    copy_async,
    sample_tokens,
)

UNIFORMS = 64
"""Random numbers a row in one block that is sent ahead."""

_log = logging.getLogger(__name__)

_Variant = tuple[DeviceChain, int]
"""The key of a graph: the sampler chain and the cache's bucket."""


class DecodeStep:
    """A decoding step, and all buffers that it reads and writes.

    On a GPU the first step of a variant runs eagerly, which initialises the libraries; the second
    is captured, and a replay costs the host one launch. The first replays of a graph are checked
    against the eager step. If a capture fails or a replay differs, all steps run eagerly from then
    on, and the log says so.

    Args:
        capture: records steps; the default is a CUDA graph on a GPU, and none elsewhere.

    Attributes:
        cache: of all rows.
        ids: (rows,) int64: the ids that a step feeds, then those that it drew; negative for an
            error, see `device_chain.sample_tokens`.
        logits: (rows, vocabulary) float32, raw, that the ids were drawn from.
    """

    def __init__(
        self, decoder: TorchDecoder, cache: StaticKVCache, capture: Capture | None = None
    ) -> None:
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
        self._capture = CudaCapture() if capture is None and device.startswith("cuda") else capture
        self._graphs: dict[_Variant, CheckedGraph | None] = {}

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
        """Feed `ids` and put the next ones in their place, without waiting for it."""
        graph = self._graph((self._chain, self.cache.bucket))
        if graph is None:
            self._step()
        elif graph.checks_left:
            self._check(graph)
        else:
            graph.graph.replay()
        self.cache.length += 1

    def _step(self) -> None:
        # A negative id stands for an error; the host will read it and stop.
        self.logits.copy_(self._decoder.step(self.ids.clamp(min=0), self.cache))
        self.ids.copy_(self._draw(self.logits, self._past, self._next_uniform))
        drawn = self.ids.clamp(min=0).unsqueeze(1)
        self._past.seen.scatter_(1, drawn, value=True)
        self._past.counts.scatter_add_(1, drawn, torch.ones_like(drawn, dtype=torch.float32))
        if not self._chain.greedy:
            self._next_uniform += 1

    def _draw(self, logits: Tensor, past: DenseTokenCounts, next_uniform: Tensor) -> Tensor:
        uniforms = self._uniforms.index_select(1, (next_uniform % UNIFORMS).view(1))
        return sample_tokens(logits, self._chain, self._values, past, uniforms)

    def _graph(self, variant: _Variant) -> CheckedGraph | None:
        """The graph of a variant; None to run this step eagerly."""
        if self._capture is None:
            return None
        if variant not in self._graphs:
            self._graphs[variant] = None
        elif self._graphs[variant] is None:
            try:
                self._graphs[variant] = CheckedGraph(self._capture(self._step))
            except RuntimeError as error:
                self._disable(f"a step cannot be captured as a CUDA graph ({error})")
                return None
        return self._graphs[variant]

    def _check(self, graph: CheckedGraph) -> None:
        """Run the step eagerly and as a graph, from the same state; keep what they agree on."""
        length, (keys, values) = self.cache.length, (self.cache.keys, self.cache.values)
        state = StepState(
            *(self.ids, self.logits, *self._past, self._next_uniform, self.cache.position),
            *(keys[:, :, :, : length + 1], values[:, :, :, : length + 1]),
        )
        try:
            before = state.clone()
        except torch.OutOfMemoryError as error:
            self._disable(f"a CUDA graph cannot be checked ({error})")
            self._step()
            return
        self._step()
        eager = state.clone()
        if not bool(eager.logits.isfinite().all()):
            return  # nothing can be compared, and the host will end the generation
        state.restore(before)
        for cache in (keys, values):
            cache[:, :, :, length] = 0
        try:
            graph.graph.replay()
            if agrees(
                before, eager, state, lambda x, past: self._draw(x, past, before.next_uniform)
            ):
                graph.checks_left -= 1
                return
            reason = "a CUDA graph does not compute what its step computes"
        except RuntimeError as error:
            reason = f"a CUDA graph cannot be replayed ({error})"
        state.restore(eager)
        for cache in (keys, values):
            cache[:, :, :, length + 1 :] = 0
        self._disable(reason)

    def _disable(self, reason: str) -> None:
        self._capture = None
        self._graphs.clear()
        _log.warning("%s; steps are launched one by one", reason)
