"""`gptterm write`: Write mode, on a file."""

import os
from pathlib import Path

import click
from msgspec.structs import replace

from gptterm.cli.dispatch import require_directory
from gptterm.cli.help import SectionedCommand
from gptterm.cli.options import (
    CONTEXT,
    HISTORY,
    INPUT,
    SectionedOption,
    ValueParamType,
    engine_options,
    flag_option,
    given_settings,
    model_options,
    sampling_options,
)
from gptterm.cli.signals import Signals
from gptterm.cli.streams import Streams, configure_libraries
from gptterm.config import load_settings
from gptterm.config.value_types import Integer
from gptterm.errors import UsageError
from gptterm.paths import user_path
from gptterm.ranges import Range
from gptterm.terminal import is_dumb

MOST_DEPTH = 1 << 20
"""Tokens; no model sees more."""
_HELP = """Write a text together with a model.

Opens FILE, which need not exist yet; without one, the last text that is kept in the history
alone. Tab continues the text at the cursor, Ctrl+S writes the file, F1 shows all keys. Every
version is kept in the history, whatever is undone, so that nothing is lost before the file is
written.
"""


def _parameters() -> list[click.Parameter]:
    return [
        *model_options(),
        *sampling_options(),
        flag_option(INPUT, "--no-mouse", "no_mouse", text="leave the mouse to the terminal"),
        flag_option(
            HISTORY, "--save/--no-save", "save", default=None,
            text="whether to save the versions in the history  [--save]",
        ),
        SectionedOption(
            ["--document"], INPUT, metavar="ID",
            help="the text whose id begins so, as `gptterm history documents` lists it",
        ),
        *_beside_options(),
        *engine_options(),
        click.Argument(["file"], required=False, metavar="[FILE]"),
    ]  # fmt: skip


def _beside_options() -> list[click.Parameter]:
    """The options of what a model sees beside the text; they are kept with it."""
    depth = ValueParamType(Integer(Range(0, MOST_DEPTH, integer=True)))
    return [
        SectionedOption(
            ["--memory"], INPUT, metavar="TEXT",
            help="text before all that the model sees; kept with the text, as the note is",
        ),
        SectionedOption(
            ["--note"], INPUT, metavar="TEXT",
            help="author's note: text among the last tokens that the model sees",
        ),
        SectionedOption(
            ["--note-depth"], INPUT, metavar="N", type=depth,
            help="tokens of the text after the note  [64]",
        ),
    ]  # fmt: skip


@click.pass_obj
def _start(
    signals: Signals,
    /,
    file: str | None,
    document: str | None,
    no_mouse: bool,
    api_key: str,
    memory: str | None,
    note: str | None,
    note_depth: int | None,
    **values: object,
) -> int:
    texts = {"memory": memory, "note": note, "note_depth": note_depth}
    beside = {name: value for name, value in texts.items() if value is not None}
    given = given_settings(values)
    require_directory()
    streams = Streams()
    configure_libraries()
    settings = load_settings(given, api_key=api_key)
    if is_dumb() or not (os.isatty(0) and streams.out_is_terminal):
        raise UsageError("gptterm write draws on a terminal: stdin and stdout must be one")
    path = None if file is None else user_path(file)
    name = ""
    if document is not None:
        if path is not None:
            raise UsageError("give a FILE or --document, not both")
        name, path = _find_document(document)
    if path is not None:
        from gptterm.document.text_file import TextFile

        # Its problems are told before the screen is drawn.
        TextFile(path).read()
    if no_mouse:
        settings = replace(settings, tui=replace(settings.tui, mouse=False))
    from gptterm.tui import run

    # Its event loop handles signals itself.
    signals.release()
    left = run(settings, write=True, file=path, document=name, beside=beside, note=streams.note)
    return left if isinstance(left, int) else 0


def _find_document(prefix: str) -> tuple[str, Path | None]:
    """Return the id of a document and its file.

    Raises:
        UsageError: there is none whose id begins so, or there are several.
    """
    from gptterm.cli.history import open_history
    from gptterm.store import find_document

    with open_history() as store:
        found = find_document(store, prefix)
    return ("", Path(found.path)) if found.path else (found.id, None)


write = SectionedCommand(
    "write", help=_HELP, params=_parameters(), callback=_start, context_settings=CONTEXT
)
