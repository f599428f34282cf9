"""Steps that the commands which look into a model share: its files, the text, the drawing."""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click

from gptterm.cli.options import adapter_option, setting_option
from gptterm.cli.prompt import decoded, read_stdin, without_newline
from gptterm.cli.run import find_model, load_model
from gptterm.cli.signals import Interrupted, Signals
from gptterm.cli.streams import COLUMNS, ReaderGoneError, Streams, configure_libraries
from gptterm.config import Settings, load_settings
from gptterm.config.definitions import SETTINGS
from gptterm.engine.api import Failed, ModelSource, Prompt
from gptterm.engine.inspection.answers import Encoded, InspectionEvent
from gptterm.engine.inspection.requests import (
    EncodeRequest,
    InspectableEngine,
    InspectionRequest,
)
from gptterm.errors import GpttermError, UsageError, error_of
from gptterm.format import byte_size, escaped
from gptterm.terminal import one_line

if TYPE_CHECKING:
    from gptterm.charts.figure import Figure

F = TypeVar("F", bound=Callable[..., object])

MOST_BYTES = 1 << 26
"""Of a text; its tokens take ten times as much."""


def model_options(command: F) -> F:
    """Decorate a command with the options that name a model on this machine."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="No notices."),
        click.option("--offline", is_flag=True, default=None, help=SETTINGS["offline"].help),
        setting_option("model", "-m", "--model"),
    ):
        command = option(command)
    return command


def engine_options(command: F) -> F:
    """Decorate a command with `model_options` and those of an engine."""
    command = setting_option("dtype", "--dtype")(command)
    command = setting_option("device", "--device")(command)
    return model_options(adapter_option(command))


def drawing_options(command: F) -> F:
    """Decorate a command with where its figure goes besides the terminal."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="One JSON object, full numbers."),
        click.option("--html", metavar="FILE", help="Draw a web page into FILE."),
        click.option("--svg", metavar="FILE", help="Draw a picture into FILE."),
    ):
        command = option(command)
    return command


def local_model(
    given: dict[str, object], command: str, streams: Streams, signals: Signals
) -> tuple[ModelSource, Settings]:
    """Find the model on this machine that options and settings name; say what was substituted.

    Args:
        given: settings by options; None is not given.

    Raises:
        ModelError: it is not available.
        UsageError: it is on a server.
    """
    configure_libraries()
    settings = load_settings({name: value for name, value in given.items() if value is not None})
    if settings.remote is not None:
        raise UsageError(
            f"{one_line(settings.model)} is on a server, which does not let anyone look into it: "
            f"name a model on this machine, gptterm {command} -m NAME"
        )
    source, settings = find_model(settings, streams, signals)
    for notice in (*settings.notices, *source.notices):
        streams.note(notice)
    return source, settings


def given_text(words: tuple[str, ...], command: str) -> str:
    """The text that a command is about: its words, or stdin without its last newline.

    Args:
        words: `-` alone is stdin; so are none, unless that is a terminal.

    Raises:
        UsageError: there is none, or it is not valid UTF-8.
    """
    if not words and os.isatty(0):
        raise UsageError(f"no text: give TEXT or text on stdin; see gptterm {command} --help")
    text = without_newline(read_stdin()) if words in ((), ("-",)) else " ".join(words)
    if not text:
        raise UsageError("the text is empty: give TEXT or text on stdin")
    return text


def read_document(path: str | None, command: str) -> str:
    """Read a text from a file, a pipe or stdin, of which every byte counts.

    Args:
        path: `-` is stdin; so is None, unless that is a terminal.

    Raises:
        UsageError: it cannot be read, is too large, empty, or not valid UTF-8.
    """
    if path is None and os.isatty(0):
        raise UsageError(f"no text: give FILE, or text on stdin; see gptterm {command} --help")
    if path is None or path == "-":
        text = read_stdin()
    else:
        text = decoded(_file_bytes(path), escaped(path))
    if not text:
        where = "stdin" if path in (None, "-") else escaped(path)
        raise UsageError(f"{where} is empty: there is no text to {command}")
    return text


def _file_bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{escaped(path)}: {reason}") from None
    if len(data) > MOST_BYTES:
        raise UsageError(f"{escaped(path)} is larger than {byte_size(MOST_BYTES)}: cut it first")
    return data


def ask(
    engine: InspectableEngine, request: InspectionRequest, signals: Signals, streams: Streams
) -> Iterator[InspectionEvent]:
    """Yield a request's events, until the last or until a signal cancels.

    Raises:
        GpttermError: it failed.
        ReaderGoneError: the reader has closed stdout.
    """
    with contextlib.closing(engine.inspect(request)) as events:
        for event in events:
            if isinstance(event, Failed):
                raise error_of(event.kind, event.message)
            yield event
            if signals.pending is not None:
                return
            # Else a closed stdout is noticed only at the next write.
            if streams.reader_gone():
                raise ReaderGoneError


def encode(
    engine: InspectableEngine, prompt: Prompt, signals: Signals, streams: Streams
) -> Encoded:
    """Render and encode a prompt.

    Raises:
        GpttermError: it cannot be rendered.
        Interrupted: a signal has cancelled.
    """
    for event in ask(engine, EncodeRequest(prompt=prompt), signals, streams):
        if isinstance(event, Encoded):
            return event
    raise Interrupted


def load_inspectable(
    source: ModelSource, settings: Settings, streams: Streams, signals: Signals
) -> InspectableEngine:
    """Load the model, or attach to its warm engine; from then on a signal only cancels.

    Raises:
        GpttermError: it cannot be loaded, or not be looked into.
    """
    engine = load_model(settings, source, streams, signals)
    signals.cancel_mode()
    for notice in engine.info.notices:
        if notice not in source.notices:
            streams.note(notice)
    if not isinstance(engine, InspectableEngine):
        raise UsageError(f"{one_line(source.name)} runs where nobody can look into it")
    return engine


def print_figure(streams: Streams, figure: "Figure") -> None:
    """Print a figure: drawn on a terminal, tab-separated to a pipe."""
    lines: Iterable[str]
    if streams.out_is_terminal:
        from gptterm.charts.terminal import TerminalPainter

        lines = TerminalPainter(streams.width or COLUMNS).figure(figure)
    else:
        from gptterm.charts.plain import figure_text

        lines = figure_text(figure)
    for line in lines:
        streams.write_bytes(line.encode())


class Pictures(NamedTuple):
    """Files that a figure is drawn into."""

    svg: str | None
    html: str | None

    def __bool__(self) -> bool:
        return self.svg is not None or self.html is not None

    def check(self) -> None:
        """Refuse what cannot be written, before anything is loaded.

        Raises:
            UsageError: there is no such folder.
        """
        for path in filter(None, self):
            if os.path.isdir(path) or not os.path.isdir(os.path.dirname(path) or "."):
                raise UsageError(f"{escaped(path)} cannot be written: name a file in a folder")

    def save(self, figure: "Figure") -> None:
        """Draw.

        Raises:
            GpttermError: a file cannot be written.
        """
        if self.svg is not None:
            from gptterm.charts.svg import figure_svg

            _write(self.svg, [figure_svg(figure)])
        if self.html is not None:
            from gptterm.charts.html import figure_html

            _write(self.html, figure_html(figure))


def _write(path: str, parts: Iterable[str]) -> None:
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(parts)
    except OSError as error:
        raise GpttermError(f"cannot write {escaped(path)}: {error.strerror}") from None
