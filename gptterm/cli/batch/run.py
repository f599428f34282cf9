"""BatchRun: the jobs that are left, and what came of the others."""

import time
from collections.abc import Callable, Container
from typing import Any

from gptterm.cli.batch import openai_lines
from gptterm.cli.batch.jobs import BadLineError, Job
from gptterm.cli.batch.line_parser import LineParser
from gptterm.cli.batch.reader import Line, LineReader
from gptterm.cli.batch.sink import Sink
from gptterm.cli.batch.writer import BackgroundWriter
from gptterm.cli.console import json_line
from gptterm.cli.results import Results, result_object
from gptterm.engine.api import ModelInfo

_MOST_SKIPPED = 256
"""Lines looked at in one call: a signal must not wait for a million that are done."""


class Tally:
    """Counts of a run."""

    def __init__(self) -> None:
        self.done = 0
        """Lines with a result."""
        self.failed = 0
        """Lines with an error record."""
        self.skipped = 0
        """Lines that an earlier run has done."""
        self.tokens = 0
        """Tokens generated."""
        self._begun = time.perf_counter()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self._begun

    @property
    def tokens_per_s(self) -> float:
        """Tokens generated a second, over the whole run."""
        return self.tokens / max(self.elapsed_s, 1e-9)


class Work:
    """A job that runs."""

    def __init__(self, job: Job, place: int, note: Callable[[str], None]) -> None:
        self.job = job
        self.place = place
        self.results = Results(job.request, (), note)


class BatchRun:
    """Takes jobs from the input, and writes the records of those that have ended.

    Args:
        sink: puts records in order for the writer.
        info: the model.
        done: numbers of the lines to skip.
        on_change: called after each line that has ended.
        note: called with notices; it drops those it knows.
    """

    def __init__(
        self,
        reader: LineReader,
        parser: LineParser,
        sink: Sink,
        writer: BackgroundWriter,
        info: ModelInfo,
        *,
        done: Container[int] = (),
        on_change: Callable[[Tally], None],
        note: Callable[[str], None],
    ) -> None:
        self.tally = Tally()
        self.reader = reader
        self._parser = parser
        self._sink = sink
        self._writer = writer
        self._info = info
        self._done = done
        self._on_change = on_change
        self._note = note

    @property
    def exhausted(self) -> bool:
        """Whether every job was taken."""
        return self.reader.ended

    @property
    def has_room(self) -> bool:
        """Whether another job may be taken before one ends, or its record is written."""
        return self._sink.has_room and self._writer.has_room

    def take(self, timeout_s: float = 0.0) -> Work | None:
        """Return the next job; None if there is none yet, or no more.

        Lines that cannot be run get their record at once.

        Args:
            timeout_s: longest wait for a line that has not arrived, or for a reader of the records
                that pauses.

        Raises:
            OSError: the input cannot be read.
        """
        for _ in range(_MOST_SKIPPED):
            if not (self._sink.has_room and self._writer.wait_for_room(timeout_s)):
                return None
            line = self.reader.poll(timeout_s)
            if line is None:
                return None
            if line.number in self._done:
                self.tally.skipped += 1
                self._on_change(self.tally)
            elif (job := self._parse(line)) is not None:
                return Work(job, self._sink.take(), self._note)
        return None

    def _parse(self, line: Line) -> Job | None:
        try:
            return self._parser.parse(line)
        except BadLineError as error:
            self._fail(line.number, error)
            return None

    def _fail(self, line: int, error: BadLineError) -> None:
        if error.is_openai:
            record = openai_lines.error_record(line, error.id, "usage", str(error))
        else:
            failure = {"kind": "usage", "message": str(error)}
            record = {"line": line, **_named(error.id), "error": failure}
        self.tally.failed += 1
        self._sink.put(self._sink.take(), json_line(record))
        self._on_change(self.tally)

    def finish(self, work: Work) -> None:
        """Write the record of a job that has ended.

        Raises what writing does.
        """
        results, job = work.results, work.job
        results.end_unfinished()
        if results.failure is None:
            self.tally.done += 1
        else:
            self.tally.failed += 1
        ends = [sample.end for sample in results.samples if sample.end is not None]
        self.tally.tokens += sum(end.usage.completion_tokens for end in ends)
        self._sink.put(work.place, json_line(self._record(job, results)))
        self._on_change(self.tally)

    def _record(self, job: Job, results: Results) -> dict[str, Any]:
        if job.url:
            return openai_lines.result_record(job, results, self._info)
        found = result_object(results, 0, self._info, job.asked.get("prompt", ""))
        if "messages" in job.asked:
            del found["prompt"]
            found = {**job.asked, **found}
        return {"line": job.line, **_named(job.id), **found}


def _named(id_: str | int | None) -> dict[str, Any]:
    return {} if id_ is None else {"id": id_}
