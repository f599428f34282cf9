"""LocalEngine: prompt → ids → cache → logits → sampler → text, one request at a time."""

import secrets
import time
from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from gptterm.engine import sampling
from gptterm.engine.api import (
    Event,
    Failed,
    FailureKind,
    GenerateRequest,
    ModelInfo,
    NextToken,
    Piece,
    Prefilled,
    SamplingParams,
    Started,
    Usage,
)
from gptterm.engine.context import fit
from gptterm.engine.decoders.base import Cache, Decoder
from gptterm.engine.device import is_out_of_memory
from gptterm.engine.sample import Sample
from gptterm.engine.session import Session
from gptterm.engine.tokenizer import Tokenizer
from gptterm.errors import (
    GpttermError,
    ModelError,
    OutOfMemoryError,
    PromptTooLongError,
    UsageError,
)

_CHUNK = 256
"""Tokens fed at once while prefilling: bounds the memory and the time until a cancel is seen."""

_KINDS: dict[type[GpttermError], FailureKind] = {
    UsageError: "usage",
    ModelError: "model",
    OutOfMemoryError: "out_of_memory",
    PromptTooLongError: "prompt_too_long",
}


@dataclass
class _Latest:
    """The row the latest token was drawn from, for whoever asks what else it could have been."""

    logits: Tensor
    history: sampling.History
    unfed: int | None = None
    """Drawn and shown, but not fed: the generation ended with it."""


class LocalEngine:
    """An `Engine` over a decoder in this process."""

    def __init__(self, decoder: Decoder, tokenizer: Tokenizer, info: ModelInfo) -> None:
        self.info = info
        self._decoder = decoder
        self._tokenizer = tokenizer
        self._session = Session(decoder)
        self._sampling = SamplingParams()
        self._latest: _Latest | None = None
        self._running: object = None

    def generate(self, request: GenerateRequest) -> Generator[Event, None, None]:
        """Run one request; see `Engine.generate`. A failure is an event, never an exception."""
        self._running = ticket = object()
        try:
            for event in self._run(request):
                yield event
                if self._running is not ticket:
                    raise UsageError("another generation was begun before this one had ended")
        except GpttermError as error:
            yield Failed(kind=_KINDS.get(type(error), "internal"), message=str(error))
        except sampling.UnusableLogitsError as error:
            yield Failed(kind="internal", message=str(error))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            yield Failed(
                kind="out_of_memory",
                message=f"out of memory on {self.info.device}; a shorter prompt, fewer --samples,"
                " a smaller model or another --dtype may fit",
            )

    def set_sampling(self, params: SamplingParams) -> None:
        """Change the samplers of the running generation from its next token on."""
        self._sampling = params

    def next_token(self, params: SamplingParams, limit: int = 20) -> NextToken | None:
        """See `Engine.next_token`. After the end of a generation its last token is fed first."""
        latest = self._latest
        if latest is None:
            return None
        if latest.unfed is not None:
            logits = self._session.feed([latest.unfed])
            assert logits is not None
            latest.history.append(latest.unfed)
            latest.logits, latest.unfed = logits[0], None
        return sampling.explain(latest.logits, params, latest.history, self._tokenizer.piece, limit)

    def tokenize(self, text: str) -> tuple[Piece, ...]:
        """Encode as ordinary text."""
        ids = self._tokenizer.encode(text)
        return tuple(Piece(id=i, piece=self._tokenizer.piece(i)) for i in ids)

    def close(self) -> None:
        """Free the model."""
        self._latest = None
        del self._session, self._decoder
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _run(self, request: GenerateRequest) -> Generator[Event, None, None]:
        started = time.perf_counter()
        fitted = fit(
            request, self._tokenizer, self._decoder.context_length, self._decoder.vocab_size
        )
        self._sampling = request.sampling
        self._latest = None
        ids = fitted.prompt.ids
        reused = self._session.rewind(ids)
        seed = secrets.randbits(32) if request.seed is None else request.seed
        yield Started(
            prompt_tokens=len(ids),
            reused_tokens=reused,
            dropped_tokens=fitted.dropped_tokens,
            dropped_messages=fitted.dropped_messages,
            context_length=self._decoder.context_length,
            seed=seed,
            prompt_ids=tuple(ids),
            notices=fitted.notices,
        )
        logits = None
        for start in range(reused, len(ids), _CHUNK):
            end = min(start + _CHUNK, len(ids))
            logits = self._session.feed(ids[start:end], logits=end == len(ids))
            yield Prefilled(done=end - reused, total=len(ids) - reused)
        assert logits is not None
        usage = Usage(
            prompt_tokens=len(ids),
            completion_tokens=0,
            reused_tokens=reused,
            dropped_tokens=fitted.dropped_tokens,
        )
        samples = [
            Sample(i, request, fitted, self._tokenizer, seed + i, usage, started)
            for i in range(request.samples)
        ]
        if len(samples) == 1:
            yield from self._decode(samples, logits, None)
        else:
            capacity = len(ids) + fitted.max_tokens
            cache = self._session.fork(len(samples), capacity)
            yield from self._decode(samples, logits.expand(len(samples), -1), cache)

    def _decode(
        self, samples: list[Sample], logits: Tensor, cache: Cache | None
    ) -> Generator[Event, None, None]:
        """Draw and feed until every sample has ended. No cache: the session's own."""
        while True:
            chosen = sampling.choose(
                logits,
                self._sampling,
                [sample.history for sample in samples],
                [sample.generator for sample in samples],
            )
            self._latest = _Latest(
                logits[0], samples[0].history, chosen[0] if cache is None else None
            )
            for sample, row, token_id in zip(samples, logits, chosen, strict=True):
                yield from sample.advance(token_id, row)
            going = [i for i, sample in enumerate(samples) if sample.reason is None]
            if not going:
                return
            if len(going) < len(samples):
                assert cache is not None
                cache.select(going)
                samples = [samples[i] for i in going]
                chosen = [chosen[i] for i in going]
            for sample, token_id in zip(samples, chosen, strict=True):
                sample.history.append(token_id)
            if cache is None:
                self._latest.unfed = None
                fed = self._session.feed(chosen)
            else:
                fed = self._decoder.forward(torch.tensor(chosen).unsqueeze(1), cache)
            assert fed is not None
            logits = fed
