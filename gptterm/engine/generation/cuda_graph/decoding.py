"""Decodes by steps that are launched before the last one's ids are read."""

from collections import deque
from collections.abc import Generator, Iterator

import torch
from torch import Tensor

from gptterm.engine.api import Finished, GenerateRequest, Token
from gptterm.engine.decoders.base import Decoder
from gptterm.engine.decoders.kv_cache import KVCache
from gptterm.engine.decoders.native import NativeDecoder
from gptterm.engine.decoders.static_kv_cache import StaticKVCache
from gptterm.engine.generation.cuda_graph.graph import Capture
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
    """Decodes sequences in fixed buffers, behind the host.

    Args:
        capture: as `DecodeStep`.

    Attributes:
        prefix: holds the text of a request of one sequence while it is decoded.
    """

    def __init__(self, decoder: NativeDecoder, capture: Capture | None = None) -> None:
        self._decoder = decoder
        self._capture = capture
        self.prefix = PrefixCache(decoder)
        self._buffers = _kv_cache(self.prefix)
        cache = StaticKVCache(self._buffers.keys, self._buffers.values)
        self._single = DecodeStep(decoder, cache, capture)

    @classmethod
    def on_gpu(cls, decoder: Decoder) -> "StaticDecoding | None":
        """None where nothing is gained: not on a GPU, or not a native decoder."""
        if isinstance(decoder, NativeDecoder) and decoder.device.startswith("cuda"):
            return cls(decoder)
        return None

    def supports(self, request: GenerateRequest) -> bool:
        """Whether a request can be decoded here: no scores are wanted, and there is room."""
        if request.logprobs is not None:
            return False
        if request.samples == 1 or not self._decoder.device.startswith("cuda"):
            return True
        kv_bytes = self._buffers.keys.nbytes + self._buffers.values.nbytes
        free, _ = torch.cuda.mem_get_info(self._decoder.device)
        return request.samples * (kv_bytes + 64 * self._decoder.vocab_size) < _SHARE * free

    def start(self, prompt: PrefixCache, sequences: list[Sequence]) -> "StaticRun":
        """Decode from where `prompt`, in which all sequences were fed, ends."""
        return StaticRun(self, prompt, sequences)

    def buffers(self, prompt: PrefixCache, sequences: list[Sequence]) -> DecodeStep:
        """A step over copies of what was fed: `prefix`'s own buffers for a single sequence."""
        if len(sequences) == 1:
            self.prefix.copy(prompt)
            return self._single
        past, length = _kv_cache(prompt), len(sequences[0].ids)
        layers, _, heads, most, head_dim = past.keys.shape
        columns = min(most, -(-sequences[0].max_length // _WIDTH) * _WIDTH)
        keys = past.keys.new_zeros(layers, len(sequences), heads, columns, head_dim)
        values = torch.zeros_like(keys)
        keys[:, :, :, :length] = past.keys[:, :, :, :length]
        values[:, :, :, :length] = past.values[:, :, :, :length]
        return DecodeStep(self._decoder, StaticKVCache(keys, values), self._capture)

    def adopt(self, ids: list[int]) -> None:
        """Note what the single sequence's buffers hold."""
        self._buffers.length = len(ids)
        self.prefix.adopt(ids)


class StaticRun:
    """Decodes a request's sequences side by side, each the same as it would be alone.

    The host runs behind the device: it finds ends and stop texts in ids that it reads while the
    next step is under way, and throws away what was drawn after them.

    Attributes:
        prefix: holds what was fed, of the first sequence at least the prompt.
        sequences: what is decoded.
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

    def step(self) -> Iterator[Token | Finished]:
        """Draw the next token of each sequence.

        Raises:
            UnusableLogitsError: none can be drawn.
        """
        for event in self._events:
            if event is None:
                return
            yield event

    def close(self) -> None:
        """Leave the sequences as they are; they can go on elsewhere."""
        self._events.close()
        if self._uniforms is not None:
            self._uniforms.give_back()
        if self.prefix is not self._prompt and self._prompt.owner is self._owner:
            self._prompt.copy(self.prefix)
        self.prefix = self._prompt

    def _decode(self) -> Generator[Token | Finished | None, None, None]:
        """The events of all steps, each followed by None."""
        sequences = self.sequences
        ids = sequences[0].ids
        length = len(ids)
        logits = self._prompt.logits_after(ids)
        self._prompt.drop_draft(ids)
        step = self._decoding.buffers(self._prompt, sequences)
        if len(sequences) == 1:
            self.prefix = self._decoding.prefix
        chosen = draw(logits.expand(len(sequences), -1), sequences)
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
        """Launch up to `steps` steps, and read the ids of each while later ones are under way."""
        sequences = self.sequences
        readback = Readback(len(sequences), step.ids.device.type)
        rows = step.logits.unbind(0)
        while any(sequence.finish_reason is None for sequence in sequences):
            while steps and len(readback) < AHEAD:
                step.set_sampling(sequences[0].sampling)
                uniforms.launch(step)
                step.launch()
                readback.send(step.ids)
                steps -= 1
            chosen = readback.receive()
            uniforms.received()
            for sequence, token_id, row in zip(sequences, chosen, rows, strict=True):
                if sequence.finish_reason is None:
                    if token_id in _ERRORS:
                        raise UnusableLogitsError(_ERRORS[token_id])
                    yield from sequence.advance(token_id, row)
            if self.prefix is self._decoding.prefix:
                # The last id is fed by now or will be, but may as well be fed once more.
                self._decoding.adopt(sequences[0].ids[:-1])
            yield None


class Uniforms:
    """The random numbers of steps in flight, sent to the device by blocks."""

    def __init__(self, sequences: list[Sequence]) -> None:
        self._generators = [sequence.generator for sequence in sequences]
        self._states = [generator.getstate() for generator in self._generators]
        """As of the beginning of the block that was received from last."""
        self._launched = self._received = 0
        """Numbers that steps have used up, of each sequence."""
        self._draws: deque[bool] = deque()
        """Of each step in flight, whether it uses one up."""
        self._next_states = self._states

    def launch(self, step: DecodeStep) -> None:
        """Have the number of the next step ready on the device."""
        self._draws.append(step.draws)
        if not step.draws:
            return
        if self._launched % UNIFORMS == 0:
            self._next_states = [generator.getstate() for generator in self._generators]
            step.set_uniforms(self._next_block())
        self._launched += 1

    def received(self) -> None:
        """The ids of the oldest step in flight count."""
        if self._draws.popleft():
            if self._received % UNIFORMS == 0:
                self._states = self._next_states
            self._received += 1

    def give_back(self) -> None:
        """Set the generators to where the ids that were received have left them."""
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


def _kv_cache(prefix: PrefixCache) -> KVCache:
    assert isinstance(prefix.cache, KVCache)
    return prefix.cache
