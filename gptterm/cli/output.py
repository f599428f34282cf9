"""Prints a generation: as streamed text, or as one JSON object a line."""

import re
from typing import Protocol

import msgspec

from gptterm.cli.results import Record, result
from gptterm.cli.streams import Streams
from gptterm.engine.api import Event, Finished, ModelInfo, Token
from gptterm.format import parameter_count, token_rate


class Writer(Protocol):
    """Prints what a record has come to. Both methods raise as `Streams.write` does."""

    def event(self, event: Event) -> None:
        """Print what an event, which the record has taken in already, has brought."""
        ...

    def close(self) -> None:
        """Print what is left: nothing more comes, and every sample of the record has an end."""
        ...


class TextWriter:
    """The text and nothing else: of the first sample as it comes, of the others when it is done.

    Each sample ends with one newline, its own or one that is added.
    """

    def __init__(self, streams: Streams, record: Record, *, echo: str = "", stream: bool) -> None:
        self._streams = streams
        self._record = record
        self._echo = echo
        self._stream = stream
        self._printed = 0
        """Characters of the current sample's text that are on stdout."""
        self._current = 0

    def event(self, event: Event) -> None:
        if isinstance(event, Token | Finished):
            self._advance()

    def close(self) -> None:
        self._advance()

    def _advance(self) -> None:
        samples = self._record.samples
        while self._current < len(samples):
            sample = samples[self._current]
            if sample.end is None:
                if self._stream and self._current == 0:
                    self._print(sample.text)
                return
            # Broken off before its first token, a sample has nothing to say: no empty line.
            if sample.text or sample.end.reason not in ("cancelled", "error"):
                if self._current > 0:
                    self._separate()
                self._print(sample.text, last=True)
            self._current += 1
            self._printed = 0

    def _print(self, text: str, *, last: bool = False) -> None:
        new = text[self._printed :]
        if self._printed == 0 and (new or last):
            new = self._echo + new
        self._printed = len(text)
        if last and not (self._echo + text).endswith("\n"):
            new += "\n"
        if new:
            self._streams.write(new)

    def _separate(self) -> None:
        """Between samples on a terminal; a pipe gets text only."""
        streams = self._streams
        if streams.out_is_terminal and streams.err_is_terminal and not streams.quiet:
            number, total = self._current + 1, len(self._record.samples)
            seed = self._record.seed(self._current)
            streams.say(streams.dim(f"--- sample {number} of {total}, seed {seed} ---"))


class JsonWriter:
    """One object a line for each sample, in their order, each as soon as it is its turn."""

    def __init__(self, streams: Streams, record: Record, info: ModelInfo, prompt: str) -> None:
        self._streams = streams
        self._record = record
        self._info = info
        self._prompt = prompt
        self._current = 0

    def event(self, event: Event) -> None:
        if isinstance(event, Finished):
            self.close()

    def close(self) -> None:
        samples = self._record.samples
        while self._current < len(samples) and samples[self._current].end is not None:
            line = result(self._record, self._current, self._info, self._prompt)
            self._streams.write_bytes(json_line(line))
            self._current += 1


# DEL, C1 controls, bidirectional controls and line separators are legal inside a JSON string,
# but not fit for a terminal or for tools that split lines as Unicode would.
_ESCAPED = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def json_line(value: object) -> bytes:
    """Encode as UTF-8 JSON on one line, controls escaped."""
    text = msgspec.json.encode(value).decode()
    return (_ESCAPED.sub(lambda match: f"\\u{ord(match.group()):04x}", text) + "\n").encode()


def statistics(record: Record, info: ModelInfo) -> list[str]:
    """Return the lines that `-v` adds after the text."""
    ends = [sample.end for sample in record.samples if sample.end is not None]
    if not ends or record.started is None:
        return []
    usage = ends[0].usage
    lines = [
        f"prompt {usage.prompt_tokens} tokens ({usage.reused_tokens} reused, "
        f"{usage.dropped_tokens} dropped) of {info.context_length}"
    ]
    for end in ends:
        timings = end.timings
        name = f"sample {end.sample + 1}: " if len(record.samples) > 1 else ""
        stop = f" ({end.stop!r})" if end.stop is not None else ""
        lines.append(
            f"{name}{end.usage.completion_tokens} tokens, first after "
            f"{timings.first_token_s:.2f} s, {token_rate(timings.tokens_per_s)}, "
            f"{timings.total_s:.2f} s in all, ended by {end.reason}{stop}, "
            f"seed {record.seed(end.sample)}"
        )
    return lines


def loaded(info: ModelInfo) -> str:
    """Return what `-v` says once the model is there."""
    how = "loaded in"
    if info.warm_pid is not None:
        how = f"warm engine (process {info.warm_pid}) there after"
    dtype = info.dtype
    if info.fidelity_kl is not None:
        dtype += f" (KL {info.fidelity_kl:.2g} nats a token from float32)"
    return (
        f"{info.name}: {parameter_count(info.parameters)}, {info.decoder}, {info.device}, "
        f"{dtype}, {how} {info.load_s:.2f} s"
    )
