"""Steps that the commands which look into a model share: its files, the text, the drawing."""

import os
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

import click

from gptterm.cli.options import setting_option
from gptterm.cli.prompt import read_stdin, without_newline
from gptterm.cli.run import find_model
from gptterm.cli.signals import Signals
from gptterm.cli.streams import Streams, configure_libraries
from gptterm.config import Settings, load_settings
from gptterm.config.definitions import SETTINGS
from gptterm.engine.api import ModelSource
from gptterm.errors import UsageError
from gptterm.terminal import one_line

if TYPE_CHECKING:
    from gptterm.charts.figure import Figure

F = TypeVar("F", bound=Callable[..., object])


def model_options(command: F) -> F:
    """Decorate a command with the options that name a model on this machine."""
    for option in (
        click.option("-q", "--quiet", is_flag=True, help="No notices."),
        click.option("--offline", is_flag=True, default=None, help=SETTINGS["offline"].help),
        setting_option("model", "-m", "--model"),
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

    Raises:
        UsageError: there is none, or it is not valid UTF-8.
    """
    if not words and os.isatty(0):
        raise UsageError(f"no text: give TEXT or text on stdin; see gptterm {command} --help")
    text = " ".join(words) if words else without_newline(read_stdin())
    if not text:
        raise UsageError("the text is empty: give TEXT or text on stdin")
    return text


def print_figure(streams: Streams, figure: "Figure") -> None:
    """Print a figure: drawn on a terminal, tab-separated to a pipe."""
    lines: Iterable[str]
    if streams.out_is_terminal:
        from gptterm.charts.terminal import TerminalPainter

        lines = TerminalPainter(terminal_width()).figure(figure)
    else:
        from gptterm.charts.plain import figure_text

        lines = figure_text(figure)
    for line in lines:
        streams.write_bytes(line.encode())


def terminal_width() -> int:
    """Columns of the terminal on stdout."""
    try:
        return os.get_terminal_size(sys.__stdout__.fileno() if sys.__stdout__ else 1).columns or 80
    except OSError:
        return 80
