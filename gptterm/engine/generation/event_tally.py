"""Count a generation's events, to write the final events of one that is cancelled.

A generator that is closed yields nothing more. Whoever closes it owes the reader a `Finished`
for each sample: with the text the engine still held back, and the counts up to there.
"""

import codecs
import time

import msgspec

from gptterm.engine.api import (
    Event,
    Failed,
    Finished,
    GenerateRequest,
    Started,
    Timings,
    Token,
    Usage,
)


class _Sample(msgspec.Struct):
    count: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    held: str | None = ""
    """Text of the pieces that was not shown yet; None if pieces and text differ, as with tokenizers
    that write spaces which their pieces lack."""
    shown: bool = False
    decoder: codecs.IncrementalDecoder = msgspec.field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    def add(self, token: Token, now: float) -> None:
        self.count += 1
        self.last_at = now
        if self.count == 1:
            self.first_at = now
        if self.held is None:
            return
        whole = self.held + self.decoder.decode(token.piece)
        if token.text and not self.shown and not whole.startswith(token.text):
            whole = whole.lstrip()  # a transcript's reply loses its leading white space
        self.shown = self.shown or bool(token.text)
        self.held = whole[len(token.text) :] if whole.startswith(token.text) else None

    def tail(self) -> str:
        return "" if self.held is None else self.held + self.decoder.decode(b"", final=True)


class EventTally:
    """Counts of the events that one generation has yielded so far; `add` every event."""

    def __init__(self, request: GenerateRequest) -> None:
        self._begun = time.perf_counter()
        self._started: Started | None = None
        self._open = {index: _Sample() for index in range(request.samples)}

    @property
    def done(self) -> bool:
        """Whether all samples have finished, or the generation has failed."""
        return not self._open

    def add(self, event: Event) -> None:
        """Count an event."""
        match event:
            case Token():
                if sample := self._open.get(event.sample):
                    sample.add(event, time.perf_counter())
            case Finished():
                self._open.pop(event.sample, None)
            case Started():
                self._started = event
            case Failed():
                self._open.clear()

    def cancel(self) -> list[Finished]:
        """Return final events for the samples that have none. The generation is done then."""
        now = time.perf_counter()
        ends = [self._end(index, sample, now) for index, sample in self._open.items()]
        self._open.clear()
        return ends

    def _end(self, index: int, sample: _Sample, now: float) -> Finished:
        started = self._started
        span = sample.last_at - sample.first_at
        return Finished(
            sample=index,
            reason="cancelled",
            text=sample.tail(),
            usage=Usage(
                prompt_tokens=started.prompt_tokens if started else 0,
                completion_tokens=sample.count,
                reused_tokens=started.reused_tokens if started else 0,
                dropped_tokens=started.dropped_tokens if started else 0,
            ),
            timings=Timings(
                first_token_s=sample.first_at - self._begun if sample.count else 0.0,
                total_s=now - self._begun,
                tokens_per_s=(sample.count - 1) / span if span > 0 else 0.0,
            ),
        )
