"""Results of a request: the samples so far, and the objects that `--json` prints."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gptterm.engine.api import (
    NO_ID,
    Event,
    Failed,
    Finished,
    GenerateRequest,
    ModelInfo,
    Prefilled,
    Reasoning,
    Started,
    Token,
)
from gptterm.engine.generation.event_tally import EventTally


@dataclass
class SampleResult:
    """One continuation of the prompt."""

    text: str = ""
    reasoning: str = ""
    tokens: list[Token] = field(default_factory=list)
    """Collected only if logprobs are asked for."""
    end: Finished | None = None


class Results:
    """Accumulates the events of one request.

    Args:
        request: the request to the engine.
        notices: those that the user has seen already.
        note: called with each notice that the engine adds.
    """

    def __init__(
        self, request: GenerateRequest, notices: Iterable[str], note: Callable[[str], None]
    ) -> None:
        self.request = request
        self.notices = list(notices)
        self._note = note
        self.started: Started | None = None
        self.samples = [SampleResult() for _ in range(request.samples)]
        self.failure: Failed | None = None
        self._tally = EventTally(request)

    def add(self, event: Event) -> None:
        """Add one event."""
        if isinstance(event, Failed):
            # Not added to the tally, which would drop the ends that `end_unfinished` needs.
            self.failure = event
            return
        self._tally.add(event)
        match event:
            case Started():
                self.started = event
                for notice in event.notices:
                    self.notices.append(notice)
                    self._note(notice)
            case Token():
                sample = self.samples[event.sample]
                sample.text += event.text
                if self.request.logprobs is not None:
                    sample.tokens.append(event)
            case Reasoning():
                self.samples[event.sample].reasoning += event.text
            case Finished():
                self._finish(event)
            case Prefilled():
                pass

    @property
    def ended(self) -> bool:
        """Whether no more events come: it has failed, or all samples have ended."""
        return self.failure is not None or self._tally.done

    def end_unfinished(self) -> list[Finished]:
        """End the samples that have not ended, and return those ends.

        There are such samples only after a cancellation or a failure.
        """
        reason = "cancelled" if self.failure is None else "error"
        ends = [msgspec.structs.replace(end, reason=reason) for end in self._tally.cancel()]
        for end in ends:
            self._finish(end)
        return ends

    def _finish(self, end: Finished) -> None:
        sample = self.samples[end.sample]
        sample.text += end.text
        sample.end = end

    def seed(self, index: int) -> int | None:
        """The seed that reproduces a sample on its own."""
        first = self.request.seed if self.started is None else self.started.seed
        return None if first is None else first + index


def result_object(results: Results, index: int, info: ModelInfo, prompt: str) -> dict[str, Any]:
    """Build the object that `--json` prints for a sample that has ended."""
    sample = results.samples[index]
    end = sample.end
    assert end is not None
    sampling = msgspec.structs.asdict(results.request.sampling)
    for name in ("logit_bias", "word_bias"):
        if not sampling[name]:
            del sampling[name]
    line: dict[str, Any] = {
        "model": info.name,
        "revision": info.revision,
        "device": info.device,
        "dtype": info.dtype,
        "prompt": prompt,
        "text": sample.text,
        "finish_reason": end.reason,
        "stop": end.stop,
        "sample": index,
        "seed": results.seed(index),
        "sampling": sampling,
        "usage": msgspec.structs.asdict(end.usage),
        "timings": {"load_s": info.load_s, **msgspec.structs.asdict(end.timings)},
    }
    if sample.reasoning:
        line["reasoning"] = sample.reasoning
    if info.adapters:
        line["adapters"] = info.adapters
    if info.fidelity_kl is not None:
        line["fidelity_kl"] = info.fidelity_kl
    if info.kv_fidelity_kl is not None:
        line |= {"kv_dtype": info.kv_dtype, "kv_fidelity_kl": info.kv_fidelity_kl}
    if results.request.logprobs is not None:
        line["logprobs"] = [token_logprobs(token) for token in sample.tokens]
    line["notices"] = results.notices
    if results.failure is not None and end.reason == "error":
        line["error"] = {"kind": results.failure.kind, "message": results.failure.message}
    return line


def token_logprobs(token: Token) -> dict[str, Any]:
    """Build the object of a token: its log probability and its alternatives."""
    return {
        **_id(token.id),
        **piece_object(token.piece),
        "logprob": token.logprob,
        "alternatives": [
            {**_id(other.id), **piece_object(other.piece), "logprob": other.logprob}
            for other in token.alternatives
        ],
    }


def _id(token_id: int) -> dict[str, Any]:
    """A token's id, which servers do not tell."""
    return {} if token_id == NO_ID else {"id": token_id}


def piece_object(piece: bytes) -> dict[str, Any]:
    """A token's text, and its bytes if it is only part of a character."""
    try:
        return {"text": piece.decode()}
    except UnicodeDecodeError:
        return {"text": piece.decode("utf-8", "replace"), "bytes": list(piece)}
