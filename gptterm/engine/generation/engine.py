"""LocalEngine: prompt → ids → cache → logits → sampler → text."""

import contextlib
from collections.abc import Generator, Iterable
from typing import TYPE_CHECKING
from weakref import WeakSet

from gptterm.engine.api import (
    Event,
    Failed,
    GenerateRequest,
    ModelInfo,
    NextToken,
    Piece,
    SamplingParams,
)
from gptterm.engine.decoders.base import Decoder
from gptterm.engine.generation.batch import Batch, Numbered, OnError
from gptterm.engine.generation.prefix_cache import PrefixPool
from gptterm.engine.inspection.comparison import Comparison
from gptterm.engine.inspection.inspector import Events, Inspector
from gptterm.engine.inspection.requests import InspectionRequest, ScoreRequest
from gptterm.engine.kernels.compiled import library
from gptterm.engine.runtime.device import free_memory, release_memory
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.errors import UsageError

if TYPE_CHECKING:
    from gptterm.engine.generation.cuda_graph.decoding import StaticDecoding

_CACHE_SHARE = 0.5
"""Of the memory that is free once the model is loaded, what KV caches of a batch may take."""
_USUAL_LENGTH = 4096
"""Tokens of a long text; few get as long as the context of a model that holds more."""


class LocalEngine:
    """An `Engine` over a decoder in this process.

    Attributes:
        decoder: the model.
        static: decodes single requests on a GPU; None where nothing is gained by it.
    """

    def __init__(self, decoder: Decoder, tokenizer: Tokenizer, info: ModelInfo) -> None:
        self.info = info
        self.decoder = decoder
        self.static = _static_decoding(decoder)
        self._tokenizer = tokenizer
        self._prefixes = PrefixPool(decoder)
        self._batches: WeakSet[Batch] = WeakSet()
        self._inspector = Inspector(decoder, tokenizer, self._prefixes.find, self._generates)
        self._latest: tuple[Batch, int] | None = None
        """The latest request that `generate` has run, in a batch of its own."""
        self._running: object = None

    def generate(self, request: GenerateRequest) -> Generator[Event, None, None]:
        """Run one request; see `Engine.generate`. A failure that is no bug is an event."""
        self._running = ticket = object()
        batch = self._batch(request.samples)
        self._latest = batch, batch.submit(request)
        with contextlib.closing(batch):
            while not batch.idle:
                for _, event in batch.step():
                    yield event
                    if self._running is not ticket:
                        message = "the engine was asked for something else in the meantime"
                        yield Failed(kind="usage", message=message)
                        return

    def generate_many(
        self, requests: Iterable[GenerateRequest], rows: int
    ) -> Generator[Numbered, None, None]:
        """Run many requests, up to `rows` sequences at once, for throughput.

        Each request is taken from `requests` when there is room for it, and has its own sampling,
        seed and end. Its events are those of `generate`; a request that fails ends alone.

        Yields:
            The request's number, counted from 0, and an event of it. One request's events are in
            order, those of several are mixed.

        Raises:
            UsageError: the engine was asked for something else in the meantime.
        """
        self._running = ticket = object()
        self._latest = None
        with contextlib.closing(self._batch(rows)) as batch:
            for numbered in batch.run(requests):
                yield numbered
                if self._running is not ticket:
                    raise UsageError("the engine was asked for something else in the meantime")

    def new_batch(self, rows: int, on_error: OnError, *, steady: bool = True) -> Batch:
        """A batch for requests that come and go, with as many of `rows` as there is memory for.

        See `BatchingEngine.new_batch`.
        """
        length = min(self.decoder.context_length, _USUAL_LENGTH)
        # Each sequence in a row, and the text before it in a prefix cache.
        size = 2 * length * self.decoder.cache_bytes_per_token
        room = int(_CACHE_SHARE * free_memory(self.decoder.device)) // max(size, 1)
        rows = max(1, min(rows, room))
        self._prefixes.size = max(self._prefixes.size, rows)
        return self._batch(rows, on_error, steady=steady)

    def _batch(self, rows: int, on_error: OnError | None = None, *, steady: bool = True) -> Batch:
        batch = Batch(
            self.decoder, self._tokenizer, self._prefixes, rows, self.static, on_error,
            steady=steady,
        )  # fmt: skip
        self._batches.add(batch)
        return batch

    def _generates(self) -> bool:
        """Whether any batch has something to do."""
        return any(batch.ready for batch in self._batches)

    def set_sampling(self, sampling: SamplingParams) -> None:
        """Change the samplers of the running generation from its next token on."""
        if self._latest is not None:
            batch, number = self._latest
            batch.set_sampling(number, sampling)

    def leave_core(self, seconds: float) -> None:
        """Have the kernels compute on a core less for a time; see `CoreSharingEngine`."""
        if (kernels := library()) is not None:
            kernels.pool_leave_core(int(seconds * 1e9))

    def next_token(self, sampling: SamplingParams, limit: int = 20) -> NextToken | None:
        """The distribution after all that was generated so far; see `Engine.next_token`.

        Of several samples it is the first one's. May be asked while a generation is paused.

        Raises:
            OutOfMemoryError: no room to compute it.
            UnusableLogitsError: every token is banned.
        """
        if self._latest is None:
            return None
        batch, number = self._latest
        try:
            return batch.next_token(number, sampling, limit)
        except Exception:
            # The prefix cache has lost what a paused generation would go on from.
            self._latest = self._running = None
            raise

    def inspect(self, request: InspectionRequest) -> Events:
        """Yield what the model thinks of a text; see `InspectableEngine.inspect`."""
        return self._inspector.inspect(request)

    def compare(self, other: "LocalEngine", request: ScoreRequest) -> Comparison:
        """Compare the model with another on one text.

        Raises:
            UsageError: their vocabularies differ.
        """
        if not self._tokenizer.has_vocabulary_of(other._tokenizer) or (
            self.decoder.vocab_size != other.decoder.vocab_size
        ):
            raise UsageError(
                f"{self.info.name} and {other.info.name} have different vocabularies, so that "
                "tokens cannot be compared: score each alone, and compare bits per byte"
            )
        return Comparison(self.decoder, other.decoder, self._tokenizer, request)

    def tokenize(self, text: str) -> tuple[Piece, ...]:
        """Encode as ordinary text."""
        ids = self._tokenizer.encode(text)
        return tuple(Piece(id=i, piece=self._tokenizer.piece(i)) for i in ids)

    def close(self) -> None:
        """Free the model."""
        self._latest = None
        del self._prefixes, self._inspector, self.static, self.decoder
        release_memory()


def _static_decoding(decoder: Decoder) -> "StaticDecoding | None":
    """None without a GPU or a native decoder."""
    if not decoder.device.startswith("cuda"):
        return None
    # Imports torch, which such a decoder has done already.
    from gptterm.engine.generation.cuda_graph.decoding import StaticDecoding

    return StaticDecoding.on_gpu(decoder)
