"""`gptterm score --compare`: two models on one text, token by token."""

import functools
import heapq
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from gptterm.charts.figure import Figure
from gptterm.charts.plain import row_text
from gptterm.charts.views.comparison import (
    COLUMNS,
    comparison_row,
    disagreement_section,
    most_different_section,
    totals_section,
)
from gptterm.cli.console import json_line
from gptterm.cli.inspection import print_figure
from gptterm.cli.inspection_json import score_object
from gptterm.cli.score_form import ScoreForm
from gptterm.cli.score_output import MOST_DRAWN
from gptterm.cli.signals import Signals
from gptterm.cli.streams import ReaderGoneError, Streams
from gptterm.engine.api import ModelInfo
from gptterm.engine.inspection.comparison import ComparedToken, Comparison
from gptterm.errors import GpttermError
from gptterm.format import plural

MOST_LISTED = 20
"""Tokens of the table of disagreements."""


class Totals(NamedTuple):
    """Sums over the tokens that both models scored."""

    scored: int = 0
    kl: float = 0.0
    logprobs: tuple[float, float] = (0.0, 0.0)
    piece_bytes: int = 0
    agreed: int = 0
    """Tokens for which both hold the same one for the most probable."""

    def plus(self, token: ComparedToken) -> "Totals":
        """With one more token."""
        one, other = token.first, token.second
        if token.kl is None or one.logprob is None or other.logprob is None:
            return self
        agrees = one.alternatives[0].id == other.alternatives[0].id
        return Totals(
            self.scored + 1,
            self.kl + token.kl,
            (self.logprobs[0] + one.logprob, self.logprobs[1] + other.logprob),
            self.piece_bytes + len(one.piece),
            self.agreed + agrees,
        )

    @property
    def mean_kl(self) -> float:
        """Nats a token; NaN without scored tokens."""
        return self.kl / self.scored if self.scored else math.nan

    def perplexity(self, model: int) -> float:
        """Of the first (0) or the second (1) model."""
        return math.exp(-self.logprobs[model] / self.scored) if self.scored else math.nan

    def bits_per_byte(self, model: int, count: int) -> float:
        """Of the first (0) or the second (1) model."""
        return -self.logprobs[model] / math.log(2) / count if count else math.nan


class ComparisonOutput(Protocol):
    """Prints or draws a comparison. Both methods raise as `Streams.write` does."""

    def add(self, first: int, tokens: Sequence[ComparedToken]) -> None:
        """Take the next tokens, from position `first` on."""
        ...

    def finish(self, totals: Totals, byte_count: int, notes: Sequence[str]) -> None:
        """End: no token follows."""
        ...


def _identity(info: ModelInfo) -> dict[str, Any]:
    return {
        "model": info.name, "revision": info.revision, "device": info.device, "dtype": info.dtype,
    }  # fmt: skip


class JsonComparison:
    """Writes one JSON object on one line, token by token."""

    def __init__(self, streams: Streams, models: tuple[ModelInfo, ModelInfo]) -> None:
        self._streams = streams
        head = _identity(models[0]) | {"compare": _identity(models[1])}
        streams.write_bytes(json_line(head).rstrip()[:-1] + b',"tokens":[')
        self._separator = b""

    def add(self, first: int, tokens: Sequence[ComparedToken]) -> None:  # noqa: ARG002
        objects = b",".join(json_line(_object(token)).rstrip() for token in tokens)
        self._streams.write_bytes(self._separator + objects)
        self._separator = b","

    def finish(self, totals: Totals, byte_count: int, notes: Sequence[str]) -> None:
        tail = {
            "scored": totals.scored,
            "bytes": byte_count,
            "kl": totals.mean_kl if totals.scored else None,
            "same_best": totals.agreed,
            "logprob": totals.logprobs[0],
            "perplexity": totals.perplexity(0) if totals.scored else None,
            "bits_per_byte": totals.bits_per_byte(0, byte_count) if totals.scored else None,
            "other_logprob": totals.logprobs[1],
            "other_perplexity": totals.perplexity(1) if totals.scored else None,
            "other_bits_per_byte": totals.bits_per_byte(1, byte_count) if totals.scored else None,
            "notices": list(notes),
        }
        self._streams.write_bytes(b"]," + json_line(tail)[1:])


def _object(token: ComparedToken) -> dict[str, Any]:
    other = score_object(token.second)
    for name in ("id", "text", "bytes"):
        other.pop(name, None)
    return {**score_object(token.first), "kl": token.kl, "other": other}


class PlainComparison:
    """Writes a tab-separated line a token, then the totals below an empty line."""

    def __init__(self, streams: Streams, *, totals_only: bool) -> None:
        self._streams = streams
        self._totals_only = totals_only
        if not totals_only:
            streams.write_bytes(row_text(COLUMNS).encode())

    def add(self, first: int, tokens: Sequence[ComparedToken]) -> None:
        if not self._totals_only:
            rows = (row_text(comparison_row(each, first + i)) for i, each in enumerate(tokens))
            self._streams.write_bytes("".join(rows).encode())

    def finish(self, totals: Totals, byte_count: int, notes: Sequence[str]) -> None:  # noqa: ARG002
        lines = "" if self._totals_only else "\n"
        for row in (
            ("kl", totals.mean_kl),
            ("same_best", totals.agreed),
            ("perplexity", totals.perplexity(0)),
            ("other_perplexity", totals.perplexity(1)),
            ("bits_per_byte", totals.bits_per_byte(0, byte_count)),
            ("other_bits_per_byte", totals.bits_per_byte(1, byte_count)),
            ("scored", totals.scored),
            ("bytes", byte_count),
        ):
            lines += row_text(row)
        self._streams.write_bytes(lines.encode())


class FigureOfComparison:
    """Keeps the first tokens and the most different ones, and draws them at the end."""

    def __init__(self, models: tuple[ModelInfo, ModelInfo], draw: Callable[[Figure], None]) -> None:
        self._models = models
        self._draw = draw
        self._tokens: list[ComparedToken] = []
        self._most: list[tuple[float, int, ComparedToken]] = []
        """A heap: divergence, -position and token."""

    def add(self, first: int, tokens: Sequence[ComparedToken]) -> None:
        self._tokens += tokens[: MOST_DRAWN - len(self._tokens)]
        for position, token in enumerate(tokens, first):
            if token.kl:
                entry = (token.kl, -position, token)
                if len(self._most) < MOST_LISTED:
                    heapq.heappush(self._most, entry)
                else:
                    heapq.heappushpop(self._most, entry)

    def finish(self, totals: Totals, byte_count: int, notes: Sequence[str]) -> None:
        names = [f"{info.name}, {info.dtype}" for info in self._models]
        figures = [
            (name, totals.perplexity(i), totals.bits_per_byte(i, byte_count), totals.logprobs[i])
            for i, name in enumerate(names)
        ]
        sections = [totals_section(figures, [*_agreement(totals), *notes])]
        if self._most:
            found = [(-position, token) for _, position, token in sorted(self._most, reverse=True)]
            sections.append(most_different_section(found))
        sections.append(disagreement_section(self._tokens))
        self._draw(Figure(f"{names[0]}, beside {names[1]}", sections))


def outputs(
    form: ScoreForm, models: tuple[ModelInfo, ModelInfo], streams: Streams
) -> list[ComparisonOutput]:
    """Where a comparison goes: stdout, and the files that are to be drawn."""
    output: ComparisonOutput
    if form.as_json:
        output = JsonComparison(streams, models)
    elif form.totals or not streams.out_is_terminal:
        output = PlainComparison(streams, totals_only=form.totals)
    else:
        output = FigureOfComparison(models, lambda figure: print_figure(streams, figure))
    return [output, FigureOfComparison(models, form.pictures.save)] if form.pictures else [output]


def compare(
    comparison: Comparison,
    byte_count: int,
    to: Sequence[ComparisonOutput],
    streams: Streams,
    signals: Signals,
) -> None:
    """Run a comparison, to the end of the text or until a signal.

    Args:
        byte_count: of the text.

    Raises:
        GpttermError: it failed; what was compared by then is shown.
        ReaderGoneError: the reader has closed stdout.
    """
    totals, position = Totals(), 0
    error: GpttermError | None = None
    try:
        for tokens in comparison.tokens():
            for output in to:
                output.add(position, tokens)
            position += len(tokens)
            totals = functools.reduce(Totals.plus, tokens, totals)
            if signals.pending is not None:
                break
            if streams.reader_gone():
                raise ReaderGoneError
    except GpttermError as failure:
        error = failure
    whole = totals.scored == len(comparison.ids)
    for output in to:
        output.finish(totals, byte_count if whole else totals.piece_bytes, _notes(comparison))
    if error is not None:
        raise error


def _notes(comparison: Comparison) -> list[str]:
    if comparison.windows == 1:
        return []
    return [f"{comparison.windows:,} windows, each but the first scores {comparison.stride:,}"]


def _agreement(totals: Totals) -> Iterable[str]:
    if not totals.scored:
        yield "no token has a score: the first one follows nothing"
        return
    yield (
        f"KL divergence of the second from the first: {totals.mean_kl:.3g} nats a token; the same "
        f"best token at {totals.agreed:,} of {plural(totals.scored, 'token')}"
    )
