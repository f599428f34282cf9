"""LocalEngine: prompt → ids → cache → logits → sampler → text."""

import secrets
import time
from collections.abc import Generator, Iterable

from gptterm.engine.api import (
    Event,
    Failed,
    GenerateRequest,
    ModelInfo,
    NextToken,
    Piece,
    Prefilled,
    SamplingParams,
    Started,
    Usage,
)
from gptterm.engine.decoders.base import Decoder
from gptterm.engine.generation.batch import Batch, Begin, Numbered
from gptterm.engine.generation.cuda_graph.decoding import StaticDecoding
from gptterm.engine.generation.prefix_cache import PrefixCache
from gptterm.engine.generation.prompt_lookup import PromptLookup
from gptterm.engine.generation.sequence import Sequence, draw
from gptterm.engine.prompt.context_budget import fit
from gptterm.engine.runtime.device import is_out_of_memory, release_memory
from gptterm.engine.sampling.chain import UnusableLogitsError
from gptterm.engine.sampling.distribution import next_token_distribution
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.errors import GpttermError, OutOfMemoryError, UsageError


class LocalEngine:
    """An `Engine` over a decoder in this process.

    Attributes:
        decoder: the model.
        static: how requests are decoded on a GPU; None where there is nothing to gain by it.
    """

    def __init__(self, decoder: Decoder, tokenizer: Tokenizer, info: ModelInfo) -> None:
        self.info = info
        self.decoder = decoder
        self._tokenizer = tokenizer
        self._prefix_cache = PrefixCache(decoder)
        self.static = StaticDecoding.on_gpu(decoder, self._prefix_cache)
        self._sequences: list[Sequence] = []
        """Of the latest request; `set_sampling` is for them."""
        self._latest: Sequence | None = None
        """The one whose next token can be asked for: the first, once its prompt is fed."""
        self._running: object = None

    def generate(self, request: GenerateRequest) -> Generator[Event, None, None]:
        """Run one request; see `Engine.generate`. A failure that is no bug is an event."""
        self._running = ticket = object()
        out_of_memory = False
        try:
            for event in self._run(request):
                yield event
                self._check(ticket)
        except GpttermError as error:
            yield Failed(kind=error.kind, message=str(error))
        except UnusableLogitsError as error:
            yield Failed(kind="internal", message=str(error))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            out_of_memory = True
        # Only now has the exception let go of the tensors in its traceback.
        if out_of_memory:
            release_memory()
            yield Failed(kind="out_of_memory", message=self._out_of_memory())

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
        self._sequences, self._latest = [], None
        for numbered in self._batch(self._begin, rows).run(requests):
            yield numbered
            self._check(ticket)

    def _batch(self, begin: Begin, rows: int) -> Batch:
        return Batch(self.decoder, self._prefix_cache, begin, rows, self._out_of_memory())

    def _check(self, ticket: object) -> None:
        if self._running is not ticket:
            raise UsageError("the engine was asked for something else in the meantime")

    def _out_of_memory(self) -> str:
        return (
            f"out of memory on {self.info.device}; a shorter prompt, fewer --samples, a smaller"
            " model or another --dtype may fit"
        )

    def set_sampling(self, sampling: SamplingParams) -> None:
        """Change the samplers of the running generation from its next token on."""
        for sequence in self._sequences:
            sequence.sampling = sampling

    def next_token(self, sampling: SamplingParams, limit: int = 20) -> NextToken | None:
        """The distribution after all that was generated so far; see `Engine.next_token`.

        Of several sequences it is the first one's. May be asked while a generation is paused.

        Raises:
            OutOfMemoryError: no room to compute it.
            UnusableLogitsError: every token is banned.
        """
        latest = self._latest
        if latest is None:
            return None
        try:
            logits = self._prefix_cache.logits_after(latest.ids)
        except Exception as error:
            # The prefix cache has lost what a paused generation would go on from.
            self._latest = self._running = None
            if is_out_of_memory(error):
                raise OutOfMemoryError(self._out_of_memory()) from error
            raise
        return next_token_distribution(
            logits[0], sampling, latest.token_counts, self._tokenizer.piece, limit
        )

    def tokenize(self, text: str) -> tuple[Piece, ...]:
        """Encode as ordinary text."""
        ids = self._tokenizer.encode(text)
        return tuple(Piece(id=i, piece=self._tokenizer.piece(i)) for i in ids)

    def close(self) -> None:
        """Free the model."""
        self._sequences, self._latest = [], None
        del self._prefix_cache, self.static, self.decoder
        release_memory()

    def _run(self, request: GenerateRequest) -> Generator[Event, None, None]:
        self._sequences, self._latest = [], None
        if self.static is not None and self.static.supports(request):
            yield from self.static.run((yield from self._prefilled(request)))
            return
        if request.samples == 1:
            yield from self._run_alone(request)
            return
        batch = self._batch(self._begin_live, request.samples)
        for _, event in batch.run([request]):
            if isinstance(event, Prefilled) and event.done == event.total:
                self._latest = self._sequences[0]
            yield event

    def _run_alone(self, request: GenerateRequest) -> Generator[Event, None, None]:
        """One sequence, in the prefix cache itself: there the next request can go on from it."""
        (sequence,) = yield from self._prefilled(request)
        lookup = PromptLookup() if self.decoder.supports_speculation else None
        while sequence.finish_reason is None:
            draft = lookup.draft(sequence.ids, sequence.max_length) if lookup is not None else ()
            logits = self._prefix_cache.logits_after(sequence.ids, draft)
            (token_id,) = draw(logits, [sequence])
            yield from sequence.advance(token_id, logits[0])

    def _prefilled(self, request: GenerateRequest) -> Generator[Event, None, list[Sequence]]:
        """Begin a request and feed its prompt; returns its sequences, that all go on from there."""
        started, sequences = self._begin_live(request)
        yield started
        for event in self._prefix_cache.prefill(sequences[0].ids):
            if event.done == event.total:
                self._latest = sequences[0]
            yield event
        return sequences

    def _begin_live(self, request: GenerateRequest) -> tuple[Started, list[Sequence]]:
        """As `_begin`, for what `set_sampling` is to change."""
        started, self._sequences = self._begin(request)
        return started, self._sequences

    def _begin(self, request: GenerateRequest) -> tuple[Started, list[Sequence]]:
        """Make a prompt fit, and keep what of it is known.

        Raises:
            GpttermError: as `fit`.
        """
        now = time.perf_counter()
        fitted = fit(request, self._tokenizer, self.decoder.context_length, self.decoder.vocab_size)
        ids = fitted.prompt.ids
        usage = Usage(
            prompt_tokens=len(ids),
            completion_tokens=0,
            reused_tokens=self._prefix_cache.rewind(ids),
            dropped_tokens=fitted.dropped_tokens,
        )
        seed = secrets.randbits(32) if request.seed is None else request.seed
        sequences = [
            Sequence(i, request, fitted, self._tokenizer, seed + i, usage, now)
            for i in range(request.samples)
        ]
        started = Started(
            prompt_tokens=usage.prompt_tokens,
            reused_tokens=usage.reused_tokens,
            dropped_tokens=usage.dropped_tokens,
            dropped_messages=fitted.dropped_messages,
            context_length=self.decoder.context_length,
            seed=seed,
            prompt_ids=tuple(ids),
            notices=fitted.notices,
        )
        return started, sequences
