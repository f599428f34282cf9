"""Progress of a batch, drawn on stderr while that is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from gptterm.cli.batch.run import Tally
from gptterm.cli.streams import Streams
from gptterm.format import token_rate
from gptterm.terminal import one_line

_REFRESHES_PER_S = 5


class Display(NamedTuple):
    """Progress display of a run."""

    update: Callable[[Tally], None]
    note: Callable[[str], None]
    """Writes a notice, above what is drawn."""


@contextmanager
def progress(streams: Streams, total: int | None) -> Iterator[Display]:
    """Draw done, failed, tokens a second and the time left during the block.

    Args:
        total: number of lines; None if it is not known.
    """
    if streams.quiet or not streams.err_is_terminal:
        yield Display(lambda _: None, streams.note)
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[failed]}", markup=False),
        TextColumn("{task.fields[rate]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left", markup=False),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    with (
        open(streams.err, "w", closefd=False) as terminal,
        Progress(
            *columns,
            console=Console(file=terminal),
            refresh_per_second=_REFRESHES_PER_S,
            transient=True,
            # The real stdout has records; what libraries print goes nowhere.
            redirect_stdout=False,
            redirect_stderr=False,
        ) as bar,
    ):
        task = bar.add_task("", total=total, failed="", rate="")

        def update(tally: Tally) -> None:
            failed = f"{tally.failed:,} failed" if tally.failed else ""
            bar.update(
                task,
                completed=tally.done + tally.failed + tally.skipped,
                failed=failed,
                rate=token_rate(tally.tokens_per_s),
            )

        def note(message: str) -> None:
            bar.console.print(
                f"gptterm: note: {one_line(message)}", markup=False, highlight=False, soft_wrap=True
            )

        yield Display(update, note)
