"""`gptterm history import`: add chats exported by other programs to the history."""

import sys
from typing import TYPE_CHECKING

import click

from gptterm.cli.streams import Streams
from gptterm.errors import UsageError
from gptterm.terminal import printable

if TYPE_CHECKING:
    from gptterm.store.imports import Report, Source


@click.command("import", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("-n", "--dry-run", is_flag=True, help="Report what would be imported; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def import_chats(files: tuple[str, ...], dry_run: bool, as_json: bool, quiet: bool) -> int:
    """Import chats and texts from other programs, or from another gptterm.

    FILE is an exported .zip, .json or .jsonl file, or a folder of them; - is stdin. Known formats:
    gptterm's JSON, ChatGPT, Claude, Open WebUI, LM Studio, ShareGPT, OpenAI and ollama messages,
    and `llm logs --json`; trees of loom and sessions of mikupad, which become texts of Write mode.
    The format is detected from the content, not from the name.

    Branches, titles, models and times are kept. Importing a file again adds only what is new.
    Chats that cannot be read are left out and reported; the others are imported.
    """
    from gptterm.models.progress import progress_bar
    from gptterm.paths import history_file
    from gptterm.store import History, HistoryError
    from gptterm.store.imports import Report, import_files

    streams = Streams(quiet=quiet)
    sources = _sources(files)
    report = Report(dry_run=dry_run)
    try:
        with History.open(history_file(), streams.note) as history:
            if quiet:
                import_files(history, sources, report)
            else:
                with progress_bar("importing") as update:
                    import_files(
                        history, sources, report, lambda read, size: update(read, max(read, size))
                    )
    except HistoryError:
        if len(report):
            _print(streams, report, as_json=as_json)
        raise
    if as_json or len(report) or not report.problems:
        _print(streams, report, as_json=as_json)
    for problem in report.problems:
        streams.say(f"gptterm: error: {problem}")
    return UsageError.exit_code if report.problems else 0


def _sources(files: tuple[str, ...]) -> "list[Source]":
    """Parse the arguments: paths, file:// URLs, - for stdin."""
    from gptterm.paths import dropped_paths

    if not files:
        if sys.stdin.isatty():
            raise UsageError(
                "no FILE given and nothing piped in; see gptterm history import --help"
            )
        return ["-"]
    sources: list[Source] = []
    for file in files:
        if not file.strip():
            raise UsageError("a FILE name is empty; see gptterm history import --help")
        sources += ["-"] if file == "-" else dropped_paths(file)
    return sources


def _print(streams: Streams, report: "Report", *, as_json: bool) -> None:
    if as_json:
        from gptterm.cli.console import json_line

        streams.write_bytes(json_line(report.as_object()))
    else:
        streams.write("".join(f"{printable(line)}\n" for line in report.lines()))
