"""Decodes by steps that are launched before the last one's ids are read."""

from collections import deque
from collections.abc import Generator

import torch
from torch import Tensor

from gptterm.engine.api import Finished, GenerateRequest, Token
from gptterm.engine.decoders.base import Decoder
from gptterm.engine.decoders.kv_cache import KVCache
from gptterm.engine.decoders.native import NativeDecoder
from gptterm.engine.decoders.static_kv_cache import StaticKVCache
from gptterm.engine.generation.cuda_graph.step import UNIFORMS, DecodeStep
from gptterm.engine.generation.prefix_cache import PrefixCache
from gptterm.engine.generation.sequence import Sequence, draw
from gptterm.engine.sampling.chain import UnusableLogitsError
from gptterm.engine.sampling.device_chain import ALL_BANNED, UNUSABLE

AHEAD = 2
"""Steps in flight while the ids of the oldest are read."""
_WIDTH = 128
"""Columns of a cache of several rows are allocated by so many."""
_SHARE = 0.8
"""Of the device's free memory, what a cache of several rows may take."""
_ERRORS = {
    UNUSABLE: "the model's logits are not finite numbers",
    ALL_BANNED: "every token is banned",
}


class Readback:
    """Ids on their way from the device: copied into pinned memory, an event says when."""

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
        """Have them copied after what was launched so far; at most `AHEAD` at a time."""
        slot = self._next
        self._slots[slot].copy_(ids, non_blocking=True)
        if self._cuda:
            self._events[slot].record()
        self._pending.append(slot)
        self._next = (slot + 1) % AHEAD

    def receive(self) -> list[int]:
        """The oldest, waited for."""
        slot = self._pending.popleft()
        if self._cuda:
            self._events[slot].synchronize()
        ids: list[int] = self._slots[slot].tolist()
        return ids


class StaticDecoding:
    """Decodes a request's sequences side by side, each the same as it would be alone.

    The host runs behind the device: it finds ends and stop texts in ids that it reads while the
    next step is under way, and throws away what was drawn after them.
    """

    def __init__(self, decoder: NativeDecoder, prefix_cache: PrefixCache) -> None:
        self._decoder = decoder
        self._prefix_cache = prefix_cache
        assert isinstance(prefix_cache.cache, KVCache)
        self._past = prefix_cache.cache
        self._alone: DecodeStep | None = None

    @classmethod
    def on_gpu(cls, decoder: Decoder, prefix_cache: PrefixCache) -> "StaticDecoding | None":
        """None where it is not worth while: not on a GPU, or not a native decoder."""
        if isinstance(decoder, NativeDecoder) and decoder.device.startswith("cuda"):
            return cls(decoder, prefix_cache)
        return None

    def supports(self, request: GenerateRequest) -> bool:
        """Whether a request can be run in this way: no scores are wanted, and there is room."""
        if request.logprobs is not None:
            return False
        if request.samples == 1 or not self._decoder.device.startswith("cuda"):
            return True
        each = self._past.keys.nbytes + self._past.values.nbytes + 64 * self._decoder.vocab_size
        free, _ = torch.cuda.mem_get_info(self._decoder.device)
        return request.samples * each < _SHARE * free

    def run(self, sequences: list[Sequence]) -> Generator[Token | Finished, None, None]:
        """Go on from a prompt that was prefilled until all sequences have ended."""
        prompt = sequences[0].ids
        logits = self._prefix_cache.logits_after(prompt)
        length = len(prompt)
        chosen = draw(logits.expand(len(sequences), -1), sequences)
        for sequence, token_id in zip(sequences, chosen, strict=True):
            yield from sequence.advance(token_id, logits[0])
        if all(sequence.finish_reason for sequence in sequences):
            return
        step = self._step(len(sequences), length, sequences[0].max_length)
        step.start(length, chosen, [sequence.token_counts for sequence in sequences])
        yield from self._decode(step, sequences, sequences[0].max_length - length - 1)

    def _decode(
        self, step: DecodeStep, sequences: list[Sequence], steps: int
    ) -> Generator[Token | Finished, None, None]:
        readback = Readback(len(sequences), self._decoder.device)
        logits = step.logits.unbind(0)
        uniforms = 0
        while any(sequence.finish_reason is None for sequence in sequences):
            while steps and len(readback) < AHEAD:
                step.set_sampling(sequences[0].sampling)
                if step.draws:
                    if uniforms % UNIFORMS == 0:
                        step.set_uniforms(_uniforms(sequences))
                    uniforms += 1
                step.launch()
                readback.send(step.ids)
                steps -= 1
            for sequence, token_id, row in zip(sequences, readback.receive(), logits, strict=True):
                if sequence.finish_reason is None:
                    if token_id in _ERRORS:
                        raise UnusableLogitsError(_ERRORS[token_id])
                    yield from sequence.advance(token_id, row)
            if step is self._alone:
                # The last id is fed by now or will be, but may as well be fed once more.
                fed = sequences[0].ids[:-1]
                self._past.length = len(fed)
                self._prefix_cache.adopt(fed)

    def _step(self, rows: int, length: int, capacity: int) -> DecodeStep:
        """In the prefix cache itself, where the next request can go on from, or in copies of it."""
        if rows == 1:
            if self._alone is None:
                cache = StaticKVCache(self._past.keys, self._past.values)
                self._alone = DecodeStep(self._decoder, cache)
            return self._alone
        layers, _, heads, most, head_dim = self._past.keys.shape
        columns = min(most, -(-capacity // _WIDTH) * _WIDTH)
        keys = self._past.keys.new_zeros(layers, rows, heads, columns, head_dim)
        values = torch.zeros_like(keys)
        keys[:, :, :, :length] = self._past.keys[:, :, :, :length]
        values[:, :, :, :length] = self._past.values[:, :, :, :length]
        return DecodeStep(self._decoder, StaticKVCache(keys, values))


def _uniforms(sequences: list[Sequence]) -> Tensor:
    """The next random numbers of each sequence's own generator, (sequences, UNIFORMS)."""
    numbers = [[sequence.generator.random() for _ in range(UNIFORMS)] for sequence in sequences]
    return torch.tensor(numbers, dtype=torch.float64)
