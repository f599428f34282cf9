"""Print a generation: as streamed text, or as one JSON object a line."""

from typing import TYPE_CHECKING, Protocol

from gptterm.cli.console import json_line
from gptterm.cli.results import Results, result_object
from gptterm.cli.streams import Streams
from gptterm.engine.api import Event, Finished, ModelInfo, Reasoning, Token
from gptterm.format import byte_size, parameter_count, token_rate

if TYPE_CHECKING:
    from gptterm.cli.word_wrap import WordWrapper


class Writer(Protocol):
    """Prints results as they come. Both methods raise as `Streams.write` does."""

    def event(self, event: Event) -> None:
        """Print what is new after an event, which the results have already."""
        ...

    def close(self) -> None:
        """Print the rest: no event follows, and every sample has ended."""
        ...


class TextWriter:
    """Prints text only: the first sample as it streams, the others when they are complete.

    Each sample ends with a newline, its own or an added one. `strip` drops white space at the
    beginning of a sample; `width`, in cells, has its lines broken between words.
    """

    def __init__(
        self,
        streams: Streams,
        results: Results,
        *,
        echo: str = "",
        stream: bool,
        strip: bool = False,
        width: int | None = None,
    ) -> None:
        self._streams = streams
        self._results = results
        self._echo = echo
        self._stream = stream
        self._strip = strip
        self._wrapper = None if width is None else _wrapper(width)
        self._printed = 0
        """Characters of the current sample's text that are on stdout."""
        self._current = 0
        self._is_thinking = False
        """The end of stderr is reasoning."""

    def event(self, event: Event) -> None:
        if isinstance(event, Reasoning) and event.sample == 0 and self._stream:
            self._is_thinking = True
            self._streams.think(event.text)
        if isinstance(event, Token | Finished):
            if self._is_thinking:
                self._is_thinking = False
                self._streams.think("\n\n")
            self._advance()

    def close(self) -> None:
        self._advance()

    def _advance(self) -> None:
        samples = self._results.samples
        while self._current < len(samples):
            sample = samples[self._current]
            if sample.end is None:
                if self._stream and self._current == 0:
                    self._print(sample.text)
                return
            # No empty line for a sample that was cancelled before its first token.
            if sample.text or sample.end.reason not in ("cancelled", "error"):
                if self._current > 0:
                    self._separate()
                self._print(sample.text, last=True)
            self._current += 1
            self._printed = 0

    def _print(self, text: str, *, last: bool = False) -> None:
        text = text.lstrip() if self._strip else text
        new = text[self._printed :]
        if self._printed == 0 and (new or last):
            new = self._echo + new
        self._printed = len(text)
        if last and not (self._echo + text).endswith("\n"):
            new += "\n"
        if self._wrapper is not None:
            new = self._wrapper.feed(new)
        if new:
            self._streams.write(new)

    def _separate(self) -> None:
        """Print a separator between samples on a terminal; a pipe gets text only."""
        streams = self._streams
        if streams.out_is_terminal and streams.err_is_terminal and not streams.quiet:
            number, total = self._current + 1, len(self._results.samples)
            seed = _seed(self._results.seed(self._current))
            streams.say(streams.dim(f"--- sample {number} of {total}, {seed} ---"))


def _wrapper(width: int) -> "WordWrapper":
    # For a chat on a terminal only.
    from gptterm.cli.word_wrap import WordWrapper

    return WordWrapper(width)


class JsonWriter:
    """Prints one object a line for each sample, in their order, as early as possible."""

    def __init__(self, streams: Streams, results: Results, info: ModelInfo, prompt: str) -> None:
        self._streams = streams
        self._results = results
        self._info = info
        self._prompt = prompt
        self._current = 0

    def event(self, event: Event) -> None:
        if isinstance(event, Finished):
            self.close()

    def close(self) -> None:
        samples = self._results.samples
        while self._current < len(samples) and samples[self._current].end is not None:
            line = result_object(self._results, self._current, self._info, self._prompt)
            self._streams.write_bytes(json_line(line))
            self._current += 1


def statistics_lines(results: Results, info: ModelInfo) -> list[str]:
    """Format the lines that `-v` prints after the text."""
    ends = [sample.end for sample in results.samples if sample.end is not None]
    if not ends or results.started is None:
        return []
    usage = ends[0].usage
    limit = f" of {info.context_length}" if info.context_length else ""
    lines = [
        f"prompt {usage.prompt_tokens} tokens ({usage.reused_tokens} reused, "
        f"{usage.dropped_tokens} dropped){limit}"
    ]
    for end in ends:
        timings = end.timings
        name = f"sample {end.sample + 1}: " if len(results.samples) > 1 else ""
        stop = f" ({end.stop!r})" if end.stop is not None else ""
        seed = results.seed(end.sample)
        lines.append(
            f"{name}{end.usage.completion_tokens} tokens, first after "
            f"{timings.first_token_s:.2f} s, {token_rate(timings.tokens_per_s)}, "
            f"{timings.total_s:.2f} s in all, ended by {end.reason}{stop}, "
            f"{_seed(seed)}"
        )
    return lines


def _seed(seed: int | None) -> str:
    return "the server's own seed" if seed is None else f"seed {seed}"


def loaded_line(info: ModelInfo) -> str:
    """Format the line that `-v` prints once the model is loaded."""
    if info.decoder == "remote":
        return f"{info.name}: " + ", ".join(filter(None, ("remote", info.device, info.dtype)))
    how = "loaded in"
    if info.warm_pid is not None:
        how = f"warm engine (process {info.warm_pid}) ready after"
    dtype = info.dtype
    if info.fidelity_kl is not None:
        dtype += f" (KL {info.fidelity_kl:.2g} nats a token from float32)"
    per_token = info.cache_bytes_per_token
    if per_token:
        dtype += f", {byte_size(per_token)} of KV cache a token"
    if info.kv_fidelity_kl is not None:
        dtype += f" (in int8, KL {info.kv_fidelity_kl:.2g} nats a token from float32)"
    name = " + ".join((info.name, *info.adapters))
    return (
        f"{name}: {parameter_count(info.parameters)}, {info.decoder}, {info.device}, "
        f"{dtype}, {how} {info.load_s:.2f} s"
    )
