"""LocalEngine: prompt → ids → cache → logits → sampler → text, one request at a time."""

import secrets
import time
from collections.abc import Generator
from dataclasses import dataclass, field

import torch
from torch import Tensor

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
from gptterm.engine.device import is_out_of_memory, release_memory
from gptterm.engine.prompt.context import fit
from gptterm.engine.sample import Sample
from gptterm.engine.sampling import History, UnusableLogitsError, choose, explain
from gptterm.engine.session import Session
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.errors import GpttermError, OutOfMemoryError, UsageError


@dataclass
class _Latest:
    """Where the latest generation stands (its first sample, of several), for `next_token`."""

    prompt: list[int]
    logits: Tensor
    """(1, vocabulary), after the prompt and the first `fed` ids of the output."""
    output: list[int] = field(default_factory=list)
    """Every id that was drawn and belongs to the text, fed or not."""
    fed: int = 0


class LocalEngine:
    """An `Engine` over a decoder in this process.

    Attributes:
        decoder: the model.
    """

    def __init__(self, decoder: Decoder, tokenizer: Tokenizer, info: ModelInfo) -> None:
        self.info = info
        self.decoder = decoder
        self._tokenizer = tokenizer
        self._session = Session(decoder)
        self._sampling = SamplingParams()
        self._latest: _Latest | None = None
        self._running: object = None

    def generate(self, request: GenerateRequest) -> Generator[Event, None, None]:
        """Run one request; see `Engine.generate`. A failure that is no bug is an event."""
        self._running = ticket = object()
        out_of_memory = False
        try:
            for event in self._run(request):
                yield event
                if self._running is not ticket:
                    raise UsageError("the engine was asked for something else in the meantime")
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

    def _out_of_memory(self) -> str:
        return (
            f"out of memory on {self.info.device}; a shorter prompt, fewer --samples, a smaller"
            " model or another --dtype may fit"
        )

    def set_sampling(self, sampling: SamplingParams) -> None:
        """Change the samplers of the running generation from its next token on."""
        self._sampling = sampling

    def next_token(self, sampling: SamplingParams, limit: int = 20) -> NextToken | None:
        """The distribution after all that was generated so far; see `Engine.next_token`.

        Of several samples it is the first one's. May be asked while a generation is paused.

        Raises:
            OutOfMemoryError: no room to compute it.
            UnusableLogitsError: every token is banned.
        """
        latest = self._latest
        if latest is None:
            return None
        try:
            logits = self._settled(latest)
        except Exception as error:
            # The session has lost what a paused generation would go on from.
            self._latest = self._running = None
            if is_out_of_memory(error):
                raise OutOfMemoryError(self._out_of_memory()) from error
            raise
        history = History(latest.prompt)
        for token_id in latest.output:
            history.append(token_id)
        return explain(logits[0], sampling, history, self._tokenizer.piece, limit)

    def _settled(self, latest: _Latest) -> Tensor:
        """Feed what was drawn and not yet fed; (1, vocabulary) logits after all of it."""
        while latest.fed < len(latest.output):
            end = min(latest.fed + self.decoder.prefill_chunk, len(latest.output))
            logits = self._session.feed(latest.output[latest.fed : end])
            assert logits is not None
            latest.logits, latest.fed = logits, end
        return latest.logits

    def tokenize(self, text: str) -> tuple[Piece, ...]:
        """Encode as ordinary text."""
        ids = self._tokenizer.encode(text)
        return tuple(Piece(id=i, piece=self._tokenizer.piece(i)) for i in ids)

    def close(self) -> None:
        """Free the model."""
        self._latest = None
        del self._session, self.decoder
        release_memory()

    def _run(self, request: GenerateRequest) -> Generator[Event, None, None]:
        started = time.perf_counter()
        fitted = fit(request, self._tokenizer, self.decoder.context_length, self.decoder.vocab_size)
        self._sampling = request.sampling
        self._latest = None
        ids = fitted.prompt.ids
        reused = self._session.rewind(ids)
        seed = secrets.randbits(32) if request.seed is None else request.seed
        usage = Usage(
            prompt_tokens=len(ids),
            completion_tokens=0,
            reused_tokens=reused,
            dropped_tokens=fitted.dropped_tokens,
        )
        yield Started(
            prompt_tokens=len(ids),
            reused_tokens=reused,
            dropped_tokens=fitted.dropped_tokens,
            dropped_messages=fitted.dropped_messages,
            context_length=self.decoder.context_length,
            seed=seed,
            prompt_ids=tuple(ids),
            notices=fitted.notices,
        )
        yield from self._prefill(ids, reused)
        samples = [
            Sample(i, request, fitted, self._tokenizer, seed + i, usage, started)
            for i in range(request.samples)
        ]
        if len(samples) == 1:
            yield from self._decode(samples[0])
        else:
            yield from self._decode_together(samples, len(ids) + fitted.max_tokens)

    def _prefill(self, ids: list[int], reused: int) -> Generator[Prefilled, None, None]:
        """Feed what of the prompt is not in the cache."""
        total = len(ids) - reused
        for start in range(reused, len(ids), self.decoder.prefill_chunk):
            chunk = ids[start : start + self.decoder.prefill_chunk]
            end = start + len(chunk)
            logits = self._session.feed(chunk, logits=end == len(ids))
            if logits is not None:
                self._latest = _Latest(ids, logits)
            yield Prefilled(done=end - reused, total=total)

    def _decode(self, sample: Sample) -> Generator[Event, None, None]:
        """Draw and feed, in the session's own cache, until the sample has ended."""
        latest = self._latest
        assert latest is not None
        while sample.reason is None:
            logits = self._settled(latest)
            token_id = self._draw(logits, [sample])[0]
            if not sample.is_end(token_id):
                latest.output.append(token_id)
            yield from sample.advance(token_id, logits[0])

    def _decode_together(
        self, samples: list[Sample], capacity: int
    ) -> Generator[Event, None, None]:
        """Draw for several samples at once, in a cache of as many rows, until all have ended."""
        latest = self._latest
        assert latest is not None
        cache = self._session.fork(len(samples), capacity)
        logits = latest.logits.expand(len(samples), -1)
        first = samples[0]
        while True:
            chosen = self._draw(logits, samples)
            for row, (sample, token_id) in enumerate(zip(samples, chosen, strict=True)):
                if sample is first and not sample.is_end(token_id):
                    latest.output.append(token_id)
                yield from sample.advance(token_id, logits[row])
            going = [i for i, sample in enumerate(samples) if sample.reason is None]
            if not going:
                return
            if len(going) < len(samples):
                cache.select(going)
                samples = [samples[i] for i in going]
                chosen = [chosen[i] for i in going]
            fed = self.decoder.forward(torch.tensor(chosen).unsqueeze(1), cache)
            assert fed is not None
            logits = fed

    def _draw(self, logits: Tensor, samples: list[Sample]) -> list[int]:
        """One id per row, by the samplers in force now."""
        histories = [sample.history for sample in samples]
        generators = [sample.generator for sample in samples]
        return choose(logits, self._sampling, histories, generators)
