"""Run the command of a command line; turn exceptions into one line and an exit code."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

import click

from gptterm.cli.signals import Signals
from gptterm.cli.streams import ReaderGoneError, Streams, debugging
from gptterm.errors import GpttermError, OutOfMemoryError, UsageError, pass_exits
from gptterm.terminal import one_line

READER_GONE = 141
"""128 + SIGPIPE, the exit code that shells report for it."""
INTERRUPTED = 130


class Subcommand(NamedTuple):
    """Module and help line of a subcommand, which is imported only when it runs."""

    module: str
    help: str


SUBCOMMANDS = {
    "batch": Subcommand("gptterm.cli.batch.command", "many prompts at once: JSON lines in and out"),
    "write": Subcommand("gptterm.cli.write", "write a text together with a model: Write mode"),
    "web": Subcommand("gptterm.cli.web", "the TUI in a browser"),
    "classify": Subcommand("gptterm.cli.classify", "one of a few labels for each line"),
    "models": Subcommand("gptterm.cli.models", "models and downloads: list, info, path, pull, ..."),
    "tokenize": Subcommand("gptterm.cli.tokenize", "a text's tokens: ids and pieces"),
    "score": Subcommand("gptterm.cli.score", "how a model sees a text: perplexity, each token"),
    "inspect": Subcommand("gptterm.cli.inspect", "why: next token, attention, logit lens"),
    "bench": Subcommand("gptterm.cli.bench", "a model's speed on this machine: prompt, tokens"),
    "engine": Subcommand("gptterm.cli.engine", "engines that stay loaded: start, stop, status"),
    "history": Subcommand("gptterm.cli.history", "saved chats: list, search, show, export, ..."),
    "config": Subcommand("gptterm.cli.config", "the settings: show, path, edit"),
    "doctor": Subcommand("gptterm.cli.doctor", "versions, devices, files, models: for bug reports"),
}


def run(arguments: Sequence[str], signals: Signals) -> int:
    """Run a command line; return the exit code. Never raises."""
    try:
        return _dispatch(list(arguments), signals)
    except (ReaderGoneError, BrokenPipeError):
        return READER_GONE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BaseException as error:
        pass_exits(error)
        return _report(error)


def _dispatch(arguments: list[str], signals: Signals) -> int:
    subcommand = SUBCOMMANDS.get(arguments[0]) if arguments else None
    if subcommand is None:
        _refuse_near_miss(arguments)
        return _call(_main_command(arguments, signals), arguments, "gptterm", signals)
    name = arguments.pop(0)
    command = getattr(import_module(subcommand.module), name)
    signals.watch()
    # A progress bar hides the cursor.
    with signals.cleaning_up(Streams().show_cursor):
        return _call(command, arguments, f"gptterm {name}", signals)


def _refuse_near_miss(arguments: Sequence[str]) -> None:
    """Refuse a misspelt subcommand that a person has typed; in a script, words are a prompt.

    Raises:
        UsageError: it is one.
    """
    if not arguments or arguments[0].startswith("-") or not (os.isatty(0) and os.isatty(1)):
        return
    from gptterm.cli.near_miss import meant_subcommand

    if meant := meant_subcommand(arguments, [*SUBCOMMANDS]):
        raise UsageError(
            f"there is no command {arguments[0]} (did you mean {meant}?);"
            " put -- before it if it begins a prompt"
        )


def _hint_at_near_miss(arguments: Sequence[str], words: Sequence[str], streams: Streams) -> None:
    """Tell a person, not a script, that a prompt looks like a misspelt subcommand."""
    # After an option or -- it is a prompt.
    if not streams.err_is_terminal or not words or arguments[0] != words[0]:
        return
    from gptterm.cli.near_miss import possible_subcommand

    if meant := possible_subcommand(words, [*SUBCOMMANDS]):
        taken = f"{words[0]} is taken as a prompt (did you mean {meant}?)"
        streams.note(f"{taken}; put -- before it if it is one")


def _call(command: click.Command, arguments: list[str], name: str, signals: Signals) -> int:
    stdout = sys.stdout
    try:
        # Not standalone: exceptions reach `run`, and `--help` returns its exit code.
        code = command.main(arguments, prog_name=name, standalone_mode=False, obj=signals)
    except SystemExit:
        # On a broken pipe click replaces stdout and exits with 1.
        if sys.stdout is not stdout:
            raise ReaderGoneError from None
        raise
    return code if isinstance(code, int) else 0


def _main_command(arguments: Sequence[str], signals: Signals) -> click.Command:
    from gptterm.cli.options import RunOptions, main_command

    def start(settings: dict[str, object], options: RunOptions) -> int:
        from gptterm.cli.dispatch import start

        _hint_at_near_miss(arguments, options.words, Streams(quiet=options.quiet))
        return start(settings, options, signals)

    return main_command(start, {name: sub.help for name, sub in SUBCOMMANDS.items()})


def _report(error: BaseException) -> int:
    """Write the error to stderr in one line; return its exit code."""
    if debugging():
        import traceback

        traceback.print_exception(error)
    message, code = _explain(error)
    Streams().say(f"gptterm: error: {one_line(message)}")
    return code


def _explain(error: BaseException) -> tuple[str, int]:
    match error:
        case GpttermError():
            return str(error), error.exit_code
        case click.exceptions.UsageError():
            return _usage_message(error), 2
        case click.ClickException():
            return error.format_message(), 1
        case click.exceptions.Abort():
            return "interrupted", INTERRUPTED
        case MemoryError():
            return "out of memory; try a smaller model or a shorter prompt", (
                OutOfMemoryError.exit_code
            )
        case OSError() if error.strerror:
            where = f"{error.filename}: " if error.filename else ""
            return f"{where}{error.strerror}", 1
        case _:
            kind = type(error).__name__
            return f"internal error, {kind}: {error} (GPTTERM_DEBUG=1 shows where)", 1


def _usage_message(error: click.exceptions.UsageError) -> str:
    match error:
        case click.exceptions.NoArgsIsHelpError():
            message = "no command given"
        case click.exceptions.NoSuchOption():
            hint = f" (did you mean {error.possibilities[0]}?)" if error.possibilities else ""
            message = f"no such option {error.option_name}{hint}"
        case click.exceptions.MissingParameter() if isinstance(error.param, click.Argument):
            message = f"{error.param.human_readable_name} is missing"
        case click.exceptions.BadParameter() if isinstance(error.param, click.Option):
            name = next(name for name in error.param.opts if name.startswith("--"))
            message = f"{name} {error.message}"
        case click.exceptions.BadParameter() if isinstance(error.param, click.Argument):
            message = f"{error.param.human_readable_name} {error.message}"
        case _:
            message = error.message[:1].lower() + error.message[1:]
    message = message.rstrip(".")
    path = error.ctx.command_path if error.ctx else "gptterm"
    if message.startswith("no such command"):
        # Perhaps `gptterm models are fun` was meant as a prompt.
        return f"{message}; see {path} --help, or put -- before a prompt"
    return f"{message}; see {path} --help"
