"""One reply: from the chunks of a stream to the events of a sample. No I/O, no clock."""

from collections.abc import Iterator

from gptterm.engine.api import (
    Event,
    Finished,
    FinishReason,
    Reasoning,
    Timings,
    Token,
    Usage,
)
from gptterm.engine.remote.chunks import Counts, Delta, TokenInfo
from gptterm.engine.text.text_end import text_end

_CHARACTERS_A_TOKEN = 64
_MOST_EXTRA_CHARACTERS = 1 << 20
"""A server that ignores `max_tokens` must not fill the memory; reasoning counts, too."""
_LENGTH = ("length", "max_tokens", "model_length")
_BROKEN = {
    "content_filter": "its content filter ended the reply",
    "abort": "it gave the reply up",
    "error": "it failed in the middle of the reply",
    "tool_calls": "it wants to call a tool, and there is none",
    "function_call": "it wants to call a function, and there is none",
}


class ServerFailedError(Exception):
    """The server reported a failure in its stream; the message is its reason."""


class SurrogateJoiner:
    """Joins the halves of a character that a stream was cut in, and replaces lone ones."""

    def __init__(self) -> None:
        self._half = ""

    def push(self, text: str) -> str:
        """Add text; return what is whole."""
        text, self._half = self._half + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return _whole(text)

    def flush(self) -> str:
        """Return the rest, at the end."""
        text, self._half = self._half, ""
        return _whole(text)


def _whole(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class ReplyStream:
    """Events of one sample.

    Args:
        sample: its number.
        stop: stop texts; the stream is watched for them, whether or not the server does it too.
        max_tokens: limit of the request.
        strip: remove white space before the text.
        begun: time of the request, in seconds.
        until: ends that are part of the text.
    """

    def __init__(
        self,
        sample: int,
        stop: tuple[str, ...],
        max_tokens: int,
        *,
        strip: bool,
        begun: float,
        until: tuple[str, ...] = (),
    ) -> None:
        self.finished = False
        self.tokens = 0
        """Token events so far."""
        self.told_logprobs = False
        self._sample = sample
        self._has_stops = bool(stop)
        self._stops = text_end(stop, until)
        self._text = SurrogateJoiner()
        self._reasoning = SurrogateJoiner()
        self._strip = strip
        self._most_characters = max_tokens * _CHARACTERS_A_TOKEN + _MOST_EXTRA_CHARACTERS
        self._characters = 0
        self._begun = begun
        self._first_at = self._last_at = begun
        self._counts: Counts | None = None
        self._end: Delta | None = None

    def push(self, delta: Delta, now: float) -> Iterator[Event]:
        """Yield the events of a chunk.

        Raises:
            ServerFailedError: it reports a failure; the events before it are valid.
        """
        self._counts = delta.counts or self._counts
        if self.finished:
            return
        if delta.reasoning and (thought := self._reasoning.push(delta.reasoning)):
            self._characters += len(thought)
            yield Reasoning(sample=self._sample, text=thought)
        yield from self._tokens(delta, now)
        if delta.error:
            raise ServerFailedError(delta.error)
        if delta.finish in _BROKEN:
            raise ServerFailedError(_BROKEN[delta.finish])
        if delta.finish:
            self._end = delta
        if self._characters > self._most_characters:
            self._end = Delta(finish="length")

    @property
    def complete(self) -> bool:
        """Whether nothing more is needed but the counts, which may follow."""
        return self._end is not None or self._stops.matched is not None

    @property
    def overlong(self) -> bool:
        """Whether the rest need not be read: the text has ended, and the server writes on."""
        return self._stops.matched is not None or self._characters > self._most_characters

    def _tokens(self, delta: Delta, now: float) -> Iterator[Event]:
        if self._stops.matched is not None:
            return
        text = self._text.push(delta.text)
        if self._strip:
            text = text.lstrip()
            self._strip = not text
        self._characters += len(text)
        infos = delta.tokens
        self.told_logprobs = self.told_logprobs or bool(infos)
        if not infos:
            if not text:
                return
            infos = (TokenInfo(text.encode("utf-8", "replace"), None, ()),)
        shown = self._stops.push(text)
        for number, info in enumerate(infos, 1):
            if self.tokens == 0:
                self._first_at = now
            self._last_at = now
            self.tokens += 1
            yield Token(
                sample=self._sample, id=info.id, piece=info.piece, logprob=info.logprob,
                # The text of a chunk comes with its last token.
                text=shown if number == len(infos) else "", alternatives=info.alternatives,
            )  # fmt: skip

    def finish(self, now: float) -> Finished:
        """Return the sample's end, once the stream is complete or has ended with `[DONE]`."""
        self.finished = True
        tail = ""
        if self._stops.matched is None:
            tail = self._stops.push(self._text.flush())
            if self._stops.matched is None:
                tail += self._stops.flush()
        reason, stop = self._reason()
        counts = self._counts or Counts(0, self.tokens, 0)
        span = self._last_at - self._first_at
        return Finished(
            sample=self._sample,
            reason=reason,
            text=tail,
            stop=stop,
            usage=Usage(
                prompt_tokens=counts.prompt,
                completion_tokens=counts.completion or self.tokens,
                reused_tokens=counts.cached,
                dropped_tokens=0,
            ),
            timings=Timings(
                first_token_s=self._first_at - self._begun if self.tokens else 0.0,
                total_s=now - self._begun,
                tokens_per_s=self._rate(counts, span),
            ),
        )

    def _rate(self, counts: Counts, span: float) -> float:
        count = max(counts.completion, self.tokens)
        return (count - 1) / span if span > 0 and count > 1 else 0.0

    def _reason(self) -> tuple[FinishReason, str | None]:
        if self._stops.matched is not None:
            return "stop", self._stops.matched
        end = self._end or Delta()
        if end.finish in _LENGTH:
            return "length", None
        if end.stop is not None:
            return "stop", end.stop
        if end.finish == "stop_sequence" or (end.finish == "stop" and self._has_stops):
            return "stop", None  # which one, or whether it was the end of text, is not told
        return "eos", None
