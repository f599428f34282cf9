"""Decoding whose steps are launched before the ids of the previous step are read."""

from collections import deque
from collections.abc import Generator, Iterator

import numpy as np
import torch
from torch import Tensor

from gptterm.engine.api import Finished, GenerateRequest, SamplingParams, Token
from gptterm.engine.decoders.base import Decoder
from gptterm.engine.decoders.torch_backend.decoder import TorchDecoder
from gptterm.engine.decoders.torch_backend.kv_cache import TorchKVCache
from gptterm.engine.decoders.torch_backend.static_kv_cache import StaticKVCache
from gptterm.engine.generation.cuda_graph.graph import Capture
from gptterm.engine.generation.cuda_graph.step import UNIFORMS, DecodeStep
from gptterm.engine.generation.prefix_cache import PrefixCache
from gptterm.engine.generation.sequence import Sequence, draw
from gptterm.engine.sampling.chain import AllBannedError, NotFiniteError
from gptterm.engine.sampling.device_chain import ALL_BANNED, UNUSABLE

AHEAD = 2
"""Steps in flight."""
_WIDTH = 128
"""Columns of a KV cache for several rows are allocated in multiples of it."""
_LARGEST_BUFFERS = 1 << 30
"""Bytes. A longer context decodes without a graph, in a cache that grows."""
_SHARE = 0.8
"""Share of the device's free memory that a KV cache for several rows may take."""
_ERRORS: dict[int, type[AllBannedError] | type[NotFiniteError]] = {
    UNUSABLE: NotFiniteError,
    ALL_BANNED: AllBannedError,
}


class Readback:
    """Asynchronous copies of ids from the device, into pinned memory; events mark their ends."""

    def __init__(self, rows: int, device: str) -> None:
        self._cuda = device.startswith("cuda")
        self._slots = [
            torch.zeros(rows, dtype=torch.int64, pin_memory=self._cuda) for _ in range(AHEAD)
        ]
        self._events = [torch.cuda.Event() for _ in range(AHEAD * self._cuda)]  # type: ignore[no-untyped-call]
        self._pending: deque[int] = deque()
        self._next = 0

    def __len__(self) -> int:
        return len(self._pending)

    def send(self, ids: Tensor) -> None:
        """Enqueue a copy, of which up to `AHEAD` may be pending."""
        slot = self._next
        self._slots[slot].copy_(ids, non_blocking=True)
        if self._cuda:
            self._events[slot].record()
        self._pending.append(slot)
        self._next = (slot + 1) % AHEAD

    def receive(self) -> list[int]:
        """Wait for the oldest copy, and return it."""
        slot = self._pending.popleft()
        if self._cuda:
            self._events[slot].synchronize()
        ids: list[int] = self._slots[slot].tolist()
        return ids


class StaticDecoding:
    """Decodes sequences in fixed buffers, behind the host.

    Args:
        capture: as `DecodeStep`.

    Attributes:
        prefix: holds the text of a request of one sequence while it is decoded.
    """

    def __init__(self, decoder: TorchDecoder, capture: Capture | None = None) -> None:
        self._decoder = decoder
        self._capture = capture
        self.prefix = PrefixCache(decoder)
        self._buffers = _kv_cache(self.prefix)
        self._buffers.reserve(decoder.context_length)  # a captured graph has their addresses
        cache = StaticKVCache(self._buffers.keys, self._buffers.values)
        self._single = DecodeStep(decoder, cache, capture)

    @classmethod
    def on_gpu(cls, decoder: Decoder) -> "StaticDecoding | None":
        """Return None without a GPU or a native decoder, or where a context is too long.

        Its buffers take the memory of the whole context at once.
        """
        if not isinstance(decoder, TorchDecoder) or not decoder.device.startswith("cuda"):
            return None
        size = decoder.context_length * decoder.cache_bytes_per_token
        return cls(decoder) if size <= _LARGEST_BUFFERS else None

    def supports(self, request: GenerateRequest, sampling: SamplingParams) -> bool:
        """Whether a request can be decoded here, with its present samplers.

        Only without logprobs and biases of words, for which the host reads each token before the
        next, and if there is memory.
        """
        if request.logprobs is not None or sampling.word_bias:
            return False
        if request.samples == 1 or not self._decoder.device.startswith("cuda"):
            return True
        kv_bytes: int = self._buffers.keys.nbytes + self._buffers.values.nbytes
        free, _ = torch.cuda.mem_get_info(self._decoder.device)
        return request.samples * (kv_bytes + 64 * self._decoder.vocab_size) < _SHARE * free

    def start(self, prompt: PrefixCache, sequences: list[Sequence]) -> "StaticRun":
        """Decode sequences whose ids are in `prompt`."""
        return StaticRun(self, prompt, sequences)

    def buffers(self, prompt: PrefixCache, sequences: list[Sequence]) -> DecodeStep:
        """Return a step over copies of `prompt`; for a single sequence, over `prefix`."""
        if len(sequences) == 1:
            self.prefix.copy(prompt)
            return self._single
        past, length = _kv_cache(prompt), len(sequences[0].ids)
        layers, _, heads, _, head_dim = past.keys.shape
        most = self._decoder.context_length
        columns = min(most, -(-sequences[0].max_length // _WIDTH) * _WIDTH)
        keys = past.keys.new_zeros(layers, len(sequences), heads, columns, head_dim)
        values = torch.zeros_like(keys)
        keys[:, :, :, :length] = past.keys[:, :, :, :length]
        values[:, :, :, :length] = past.values[:, :, :, :length]
        return DecodeStep(self._decoder, StaticKVCache(keys, values), self._capture)

    def adopt(self, ids: list[int]) -> None:
        """Set the ids that the buffers of a single sequence hold."""
        self._buffers.length = len(ids)
        self.prefix.adopt(ids)


class StaticRun:
    """Decodes the sequences of a request together.

    The host runs behind the device: it looks for ends and stop strings in the ids of a step while
    the next one runs, and discards what was drawn after them.

    Attributes:
        prefix: holds the single sequence, or the prompt of several.
        sequences: the sequences.
    """

    def __init__(
        self, decoding: StaticDecoding, prompt: PrefixCache, sequences: list[Sequence]
    ) -> None:
        self.prefix = prompt
        self.sequences = sequences
        self._decoding = decoding
        self._prompt, self._owner = prompt, prompt.owner
        self._uniforms: Uniforms | None = None
        self._events = self._decode()

    @property
    def applies_samplers(self) -> bool:
        """Whether it can apply the samplers that its sequences have by now."""
        return not self.sequences[0].sampling.word_bias

    def step(self) -> Iterator[Token | Finished]:
        """Decode one token of each sequence.

        Raises:
            UnusableLogitsError: no token can be drawn.
        """
        for event in self._events:
            if event is None:
                return
            yield event

    def close(self) -> None:
        """Stop; the sequences can be continued elsewhere."""
        self._events.close()
        if self._uniforms is not None:
            self._uniforms.give_back()
        if self.prefix is not self._prompt and self._prompt.owner is self._owner:
            self._prompt.copy(self.prefix)
        self.prefix = self._prompt

    def _decode(self) -> Generator[Token | Finished | None, None, None]:
        """Yield the events of each step, and None after them."""
        sequences = self.sequences
        ids = sequences[0].ids
        length = len(ids)
        logits = self._prompt.logits_after(ids)
        self._prompt.drop_draft(ids)
        step = self._decoding.buffers(self._prompt, sequences)
        if len(sequences) == 1:
            self.prefix = self._decoding.prefix
        rows = np.broadcast_to(logits, (len(sequences), logits.shape[1]))
        chosen = draw(rows, sequences)
        self._uniforms = Uniforms(sequences)
        for sequence, token_id in zip(sequences, chosen, strict=True):
            yield from sequence.advance(token_id, logits[0])
        yield None
        if all(sequence.finish_reason for sequence in sequences):
            return
        step.start(length, chosen, [sequence.token_counts for sequence in sequences])
        steps = sequences[0].max_length - length - 1
        yield from self._read_behind(step, self._uniforms, steps)

    def _read_behind(
        self, step: DecodeStep, uniforms: "Uniforms", steps: int
    ) -> Generator[Token | Finished | None, None, None]:
        """Launch up to `steps` steps, and read the ids of each while later ones run."""
        sequences = self.sequences
        readback = Readback(len(sequences), step.ids.device.type)
        while any(sequence.finish_reason is None for sequence in sequences):
            while steps and len(readback) < AHEAD:
                step.set_sampling(sequences[0].sampling)
                uniforms.launch(step)
                step.launch()
                readback.send(step.ids)
                steps -= 1
            chosen = readback.receive()
            uniforms.received()
            for sequence, token_id in zip(sequences, chosen, strict=True):
                if sequence.finish_reason is None:
                    if token_id in _ERRORS:
                        raise _ERRORS[token_id]()
                    yield from sequence.advance(token_id, None)
            if self.prefix is self._decoding.prefix:
                # Whether the last id is fed already does not matter: it may be fed again.
                self._decoding.adopt(sequences[0].ids[:-1])
            yield None


class Uniforms:
    """Random numbers for the steps in flight, sent to the device in blocks."""

    def __init__(self, sequences: list[Sequence]) -> None:
        self._generators = [sequence.generator for sequence in sequences]
        self._states = [generator.getstate() for generator in self._generators]
        """Generator states at the start of the block of the last received step."""
        self._launched = self._received = 0
        """Numbers used by steps, per sequence."""
        self._draws: deque[bool] = deque()
        """Whether each step in flight uses a number."""
        self._next_states = self._states

    def launch(self, step: DecodeStep) -> None:
        """Send the numbers of the next step, unless they are on the device already."""
        self._draws.append(step.draws)
        if not step.draws:
            return
        if self._launched % UNIFORMS == 0:
            self._next_states = [generator.getstate() for generator in self._generators]
            step.set_uniforms(self._next_block())
        self._launched += 1

    def received(self) -> None:
        """Note that the ids of the oldest step in flight were read."""
        if self._draws.popleft():
            if self._received % UNIFORMS == 0:
                self._states = self._next_states
            self._received += 1

    def give_back(self) -> None:
        """Reset the generators to their state after the last step whose ids were read."""
        if not self._launched:
            return
        used = self._received % UNIFORMS or (UNIFORMS if self._received else 0)
        for generator, state in zip(self._generators, self._states, strict=True):
            generator.setstate(state)
            for _ in range(used):
                generator.random()

    def _next_block(self) -> Tensor:
        """(sequences, UNIFORMS) from each sequence's own generator."""
        numbers = [[g.random() for _ in range(UNIFORMS)] for g in self._generators]
        return torch.tensor(numbers, dtype=torch.float64)


def _kv_cache(prefix: PrefixCache) -> TorchKVCache:
    assert isinstance(prefix.cache, TorchKVCache)
    return prefix.cache
