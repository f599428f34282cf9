"""Outputs of `gptterm score`: each takes tokens as they are scored, so that memory stays flat."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

from gptterm.charts.figure import Figure
from gptterm.charts.measures import SCALES, Measure
from gptterm.charts.plain import row_text
from gptterm.charts.views.scores import (
    COLUMNS,
    score_row,
    scores_section,
    summary_lines,
    tinted,
)
from gptterm.cli.console import json_line
from gptterm.cli.inspection_json import score_object
from gptterm.cli.streams import Streams
from gptterm.engine.api import ModelInfo
from gptterm.engine.inspection.answers import ScoreSummary, TokenScore
from gptterm.errors import GpttermError
from gptterm.format import plural

MOST_DRAWN = 5_000
"""Tokens of a picture or a drawn table."""


class Outcome(NamedTuple):
    """End of a scoring."""

    summary: ScoreSummary
    byte_count: int | None
    """Bytes of the scored text; None: of the scored pieces."""
    start: str
    """Text of the start token; empty for none."""
    error: GpttermError | None = None
    """The failure before the end of the text; None without one."""

    def lines(self, info: ModelInfo) -> list[str]:
        """The summary in lines for people."""
        return summary_lines(self.summary, info.context_length, self.byte_count, self.start)


class ScoreOutput(Protocol):
    """Prints or draws scores. Both methods raise as `Streams.write` does."""

    def add(self, first: int, tokens: Sequence[TokenScore]) -> None:
        """Take the next tokens, from position `first` on."""
        ...

    def finish(self, outcome: Outcome) -> None:
        """End: no token follows."""
        ...


class JsonScores:
    """Writes one JSON object on one line, token by token."""

    def __init__(self, streams: Streams, info: ModelInfo, notices: Iterable[str]) -> None:
        self._streams = streams
        self._notices = list(notices)
        head = {
            "model": info.name,
            "revision": info.revision,
            "device": info.device,
            "dtype": info.dtype,
        }
        self._write(_body(head) + b',"tokens":[')
        self._separator = b""

    def add(self, first: int, tokens: Sequence[TokenScore]) -> None:  # noqa: ARG002
        objects = (json_line(score_object(token)).rstrip() for token in tokens)
        self._write(self._separator + b",".join(objects))
        self._separator = b","

    def finish(self, outcome: Outcome) -> None:
        summary = outcome.summary
        tail: dict[str, Any] = {
            "scored": summary.scored,
            "logprob": summary.logprob,
            "perplexity": summary.perplexity if summary.scored else None,
            "bits_per_byte": summary.bits_per_byte(outcome.byte_count) if summary.scored else None,
            "bytes": summary.piece_bytes if outcome.byte_count is None else outcome.byte_count,
            "start_ids": summary.start_ids,
            "windows": summary.windows,
            "stride": summary.stride,
            "notices": self._notices,
        }
        if outcome.error is not None:
            tail["error"] = {"kind": outcome.error.kind, "message": str(outcome.error)}
        self._write(b"]," + _body(tail)[1:] + b"}\n")

    def _write(self, data: bytes) -> None:
        self._streams.write_bytes(data)


def _body(fields: dict[str, Any]) -> bytes:
    """An object without its closing brace."""
    return json_line(fields).rstrip()[:-1]


class PlainScores:
    """Writes a tab-separated line a token, then the summary below an empty line."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams
        streams.write_bytes(row_text(COLUMNS).encode())

    def add(self, first: int, tokens: Sequence[TokenScore]) -> None:
        rows = (row_text(score_row(token, first + i)) for i, token in enumerate(tokens))
        self._streams.write_bytes("".join(rows).encode())

    def finish(self, outcome: Outcome) -> None:
        self._streams.write_bytes(b"\n")
        print_totals(self._streams, outcome)


def print_totals(streams: Streams, outcome: Outcome) -> None:
    """Write the summary as names and values."""
    summary = outcome.summary
    byte_count = summary.piece_bytes if outcome.byte_count is None else outcome.byte_count
    for row in (
        ("perplexity", summary.perplexity if summary.scored else None),
        ("bits_per_byte", summary.bits_per_byte(byte_count) if summary.scored else None),
        ("logprob", summary.logprob),
        ("scored", summary.scored),
        ("bytes", byte_count),
        ("windows", summary.windows),
        ("stride", summary.stride),
        ("start_token", outcome.start),
    ):
        streams.write_bytes(row_text(row).encode())


class Totals:
    """Writes the summary alone."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    def add(self, first: int, tokens: Sequence[TokenScore]) -> None:
        """Nothing: the summary has them all."""

    def finish(self, outcome: Outcome) -> None:
        print_totals(self._streams, outcome)


class DrawnScores:
    """Draws the tinted text on a terminal, line by line."""

    def __init__(self, streams: Streams, info: ModelInfo, measure: Measure, width: int) -> None:
        from gptterm.charts.flow import Flow
        from gptterm.charts.terminal import TerminalPainter

        self._streams = streams
        self._info = info
        self._measure: Measure = measure
        self._painter = TerminalPainter(width)
        self._flow = Flow(self._painter.width, SCALES[measure], ramp=self._painter.ramp)

    def add(self, first: int, tokens: Sequence[TokenScore]) -> None:
        for i, token in enumerate(tokens):
            lines = self._flow.push(tinted(token, self._measure, first + i))
            self._write(self._painter.lines(lines))

    def finish(self, outcome: Outcome) -> None:
        self._write(self._painter.lines(self._flow.finish()))
        self._write(self._painter.legend(SCALES[self._measure]))
        for note in outcome.lines(self._info):
            self._write(self._painter.note(note))

    def _write(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._streams.write_bytes(line.encode())


class FigureOfScores:
    """Keeps the first tokens of a text, and draws them at the end."""

    def __init__(
        self,
        info: ModelInfo,
        measure: Measure,
        draw: Callable[[Figure], None],
        *,
        as_table: bool,
    ) -> None:
        self._info = info
        self._measure: Measure = measure
        self._draw = draw
        self._as_table = as_table
        self._tokens: list[TokenScore] = []
        self._count = 0

    def add(self, first: int, tokens: Sequence[TokenScore]) -> None:
        self._count = first + len(tokens)
        self._tokens += tokens[: MOST_DRAWN - len(self._tokens)]

    def finish(self, outcome: Outcome) -> None:
        notes = outcome.lines(self._info)
        if self._count > len(self._tokens):
            notes.append(
                f"shown: the first {MOST_DRAWN:,} of {plural(self._count, 'token')}; the numbers "
                "are about all of them"
            )
        section = scores_section(self._tokens, self._measure, notes, as_table=self._as_table)
        self._draw(Figure(self._info.name, (section,)))
