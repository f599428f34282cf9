"""`gptterm bench`: the speed of a model on this machine, by the engine's own clock."""

import contextlib
import random
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from gptterm.cli.console import json_line
from gptterm.cli.inspection import engine_options, local_model, print_figure
from gptterm.cli.options import SAMPLES, ValueParamType, setting_option
from gptterm.cli.run import failure_error, load_here
from gptterm.cli.signals import EXIT_BASE, Interrupted, Signals
from gptterm.cli.streams import ReaderGoneError, Streams
from gptterm.config.value_types import Integer
from gptterm.engine.api import (
    Engine,
    Failed,
    Finished,
    GenerateRequest,
    ModelInfo,
    SamplingParams,
    Token,
    TokenPrompt,
)
from gptterm.format import plural
from gptterm.ranges import Range
from gptterm.terminal import one_line

if TYPE_CHECKING:
    from gptterm.charts.figure import Cell, Figure

_COUNT = ValueParamType(Integer(Range(0, integer=True)))
_RUNS = ValueParamType(Integer(Range(1, 1000, integer=True)))
_SEED = 0
_SAMPLING = SamplingParams(temperature=1000.0)
"""The samplers of every prompt, so hot that no text repeats itself: drafts by prompt lookup would
make the speed depend on what the model says."""


class Sizes(NamedTuple):
    """Numbers of tokens in a round; 0 leaves its part out."""

    prompt: int
    """Of the prompt that is fed."""
    decoded: int
    """Decode steps, each of one token a sample."""
    samples: int
    """Decoded together."""


class Times(NamedTuple):
    """Seconds of the rounds that have ended."""

    prompts: list[float]
    """From a request to its first token."""
    decodes: list[float]
    """From the first token to the last."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@engine_options
@setting_option("kv_dtype", "--kv-dtype")
@setting_option("context", "--context")
@click.option(
    "-p", "--prompt-tokens", type=_COUNT, default=512, metavar="N",
    help="Tokens of the prompt; 0: none is measured.  [512]",
)  # fmt: skip
@click.option(
    "-n", "--max-tokens", "decoded", type=_COUNT, default=128, metavar="N",
    help="Tokens that are decoded; 0: none are.  [128]",
)  # fmt: skip
@click.option(
    "-N", "--samples", type=ValueParamType(SAMPLES), default=1, metavar="N",
    help="Decode N texts together.  [1]",
)  # fmt: skip
@click.option("--runs", type=_RUNS, default=3, metavar="N", help="Rounds that count.  [3]")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, full numbers of each run.")
@click.pass_obj
def bench(
    signals: Signals,
    /,
    quiet: bool,
    prompt_tokens: int,
    decoded: int,
    samples: int,
    runs: int,
    as_json: bool,
    **given: object,
) -> int:
    """Measure a model's speed on this machine: reading a prompt, and writing.

    The model is loaded in this process; a warm engine is never used. After a round that warms up,
    each one feeds a prompt of random tokens, up to the first new one, and decodes tokens behind a
    prompt of one. These are drawn nearly at random, since text that repeats itself comes faster.
    Shown are the median of the rounds, the lowest and the highest, and the most main memory that
    the process took. In a pipe: tab-separated, below a line with #.
    """
    streams = Streams(quiet=quiet)
    source, settings = local_model(given, "bench", streams, signals)
    engine = load_here(settings, source, streams)
    sizes, cut = _fitted(Sizes(prompt_tokens, decoded, samples), engine.info)
    notices = [each for each in engine.info.notices if each not in source.notices] + cut
    for notice in notices:
        streams.note(notice)
    signals.cancel_mode()
    times = Times([], [])
    with contextlib.suppress(Interrupted):
        _Rounds(engine, sizes, streams, signals).run(runs, times)
    if as_json:
        said = [*settings.notices, *source.notices, *notices]
        streams.write_bytes(json_line(_object(engine.info, sizes, times) | {"notices": said}))
    else:
        if not streams.out_is_terminal:
            streams.write(f"# {one_line(engine.info.name)}: {_facts(engine.info)}\n")
        print_figure(streams, _figure(engine.info, sizes, times))
    return 0 if signals.pending is None else EXIT_BASE + signals.pending


def _fitted(asked: Sizes, info: ModelInfo) -> tuple[Sizes, list[str]]:
    """The sizes that fit the context, and a notice if that is less than asked for."""
    context = info.context_length
    # A prompt has a new token behind it; what is decoded, a prompt and a first token before it.
    sizes = Sizes(min(asked.prompt, context - 1), min(asked.decoded, context - 2), asked.samples)
    parts = []
    if sizes.prompt < asked.prompt:
        parts.append(f"the prompt is cut to {sizes.prompt:,}")
    if sizes.decoded < asked.decoded:
        parts.append(f"{sizes.decoded:,} are decoded")
    return sizes, [f"the context has {context:,} tokens: {', '.join(parts)}"] if parts else []


class Prompts:
    """Prompts of random ids, the same ones in every process.

    Each begins with another id, so that no prefix is reused.
    """

    def __init__(self, vocab_size: int) -> None:
        self._vocab_size = vocab_size
        self._random = random.Random(_SEED)
        self._first = self._random.randrange(vocab_size)

    def next(self, length: int) -> TokenPrompt:
        """The next prompt."""
        self._first = (self._first + 1) % self._vocab_size
        rest = self._random.choices(range(self._vocab_size), k=length - 1)
        return TokenPrompt(ids=(self._first, *rest))


class _Rounds:
    """The rounds on a loaded model."""

    def __init__(self, engine: Engine, sizes: Sizes, streams: Streams, signals: Signals) -> None:
        self._engine = engine
        self._sizes = sizes
        self._streams = streams
        self._signals = signals
        self._prompts = Prompts(engine.info.vocab_size)

    def run(self, runs: int, times: Times) -> None:
        """Measure, into `times`.

        Raises:
            GpttermError: a request failed.
            Interrupted: a signal has cancelled.
            ReaderGoneError: the reader has closed stdout.
        """
        self._streams.inform("gptterm: warming up")
        self._round(Times([], []))
        for number in range(1, runs + 1):
            self._streams.inform(f"gptterm: run {number} of {runs}")
            self._round(times)

    def _round(self, times: Times) -> None:
        sizes = self._sizes
        if sizes.prompt > 0:
            (end,) = self._ends(sizes.prompt, 1, 1)
            times.prompts.append(end.timings.first_token_s)
        if sizes.decoded > 0:
            ends = self._ends(1, sizes.decoded + 1, sizes.samples)
            first = min(end.timings.first_token_s for end in ends)
            times.decodes.append(max(end.timings.total_s for end in ends) - first)

    def _ends(self, prompt: int, max_tokens: int, samples: int) -> list[Finished]:
        """The last events of the samples of one request."""
        request = GenerateRequest(
            prompt=self._prompts.next(prompt), sampling=_SAMPLING, max_tokens=max_tokens,
            samples=samples, seed=_SEED, ignore_eos=True,
        )  # fmt: skip
        ends = []
        with (
            self._streams.silenced(),
            contextlib.closing(self._engine.generate(request)) as events,
        ):
            for event in events:
                if isinstance(event, Failed):
                    raise failure_error(event)
                if isinstance(event, Finished):
                    ends.append(event)
                elif isinstance(event, Token) and event.sample > 0:
                    continue  # what follows takes time: once a step
                if self._signals.pending is not None:
                    raise Interrupted
                if self._streams.reader_gone():
                    raise ReaderGoneError
        return ends


def _machine(info: ModelInfo) -> tuple[str | None, int | None]:
    """Instruction sets of the kernels and the number of threads, where they compute."""
    from gptterm.cores import thread_count
    from gptterm.engine.kernels.compiled import kernels_name

    if info.device != "cpu":
        return None, None
    return kernels_name() if info.decoder == "native" else None, thread_count()


def _facts(info: ModelInfo) -> str:
    """One line about what computes."""
    kernels, threads = _machine(info)
    facts = [
        f"{info.decoder} decoder",
        info.device,
        info.dtype,
        f"KV cache {info.kv_dtype}" if info.kv_dtype else "",
        f"kernels {kernels}" if kernels else "",
        plural(threads, "thread") if threads else "",
        *(f"adapter {adapter}" for adapter in info.adapters),
    ]
    return one_line(", ".join(filter(None, facts)))


def _figure(info: ModelInfo, sizes: Sizes, times: Times) -> "Figure":
    from gptterm.charts.figure import Column, Figure, Section, Table

    columns = (
        Column("what"),
        Column("median", right=True),
        Column("lowest", right=True, optional=1),
        Column("highest", right=True, optional=1),
        Column("unit"),
    )
    rows = [_row("load", [info.load_s], "s")]
    if times.prompts:
        what = f"prompt of {plural(sizes.prompt, 'token')}"
        rows.append(_row(what, [sizes.prompt / each for each in times.prompts], "tok/s"))
        rows.append(_row("first token", [1000 * each for each in times.prompts], "ms"))
    if times.decodes:
        what = plural(sizes.decoded, "token")
        if sizes.samples > 1:
            what += f" × {sizes.samples:,} samples"
        rates = [sizes.decoded * sizes.samples / each for each in times.decodes]
        rows.append(_row(what, rates, "tok/s"))
        rows.append(_row("step", [1000 * each / sizes.decoded for each in times.decodes], "ms"))
    peak = _peak_bytes()
    if peak is not None:
        rows.append(_row("peak memory", [peak / 1e6], "MB"))
    section = Section("", Table(columns, rows))
    return Figure(one_line(info.name), (section,), (_facts(info),))


def _row(what: str, values: Sequence[float], unit: str) -> "list[Cell]":
    """A row of the table; of a single value, without a range."""
    from statistics import median

    from gptterm.charts.figure import Cell

    numbers = [median(values)] + ([min(values), max(values)] if len(values) > 1 else [])
    cells = [Cell(f"{each:,.{_decimals(each)}f}", each) for each in numbers]
    return [Cell(what), *cells, *[Cell("")] * (3 - len(cells)), Cell(unit)]


def _decimals(value: float) -> int:
    return 0 if value >= 100 else 1 if value >= 10 else 2


def _object(info: ModelInfo, sizes: Sizes, times: Times) -> dict[str, object]:
    """The object of `--json`."""
    from statistics import median

    kernels, threads = _machine(info)
    fed = [{"first_token_s": each, "tokens_per_s": sizes.prompt / each} for each in times.prompts]
    tokens = sizes.decoded * sizes.samples
    decoded = [{"decode_s": each, "tokens_per_s": tokens / each} for each in times.decodes]

    def part(runs: list[dict[str, float]]) -> dict[str, object]:
        rate = median(run["tokens_per_s"] for run in runs) if runs else None
        return {"tokens_per_s": rate, "runs": runs}

    return {
        "model": info.name,
        "revision": info.revision,
        "architecture": info.architecture,
        "adapters": info.adapters,
        "decoder": info.decoder,
        "device": info.device,
        "dtype": info.dtype,
        "kv_dtype": info.kv_dtype,
        "kernels": kernels,
        "threads": threads,
        "parameters": info.parameters,
        "context_length": info.context_length,
        "load_s": info.load_s,
        "prompt": {"tokens": sizes.prompt, **part(fed)},
        "decode": {"tokens": sizes.decoded, "samples": sizes.samples, **part(decoded)},
        "peak_memory_bytes": _peak_bytes(),
    }


def _peak_bytes() -> int | None:
    """The most main memory that this process has had; None where the system does not tell."""
    with contextlib.suppress(OSError):
        # getrusage has the peak of the process that started this one, if that was more (Linux).
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if found is not None:
            return 1024 * int(found[1])
    with contextlib.suppress(ImportError):
        import resource  # not on Windows

        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return None
