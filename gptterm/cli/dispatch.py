"""Dispatch a call of `gptterm`: one generation, or a chat at the terminal."""

import os
from functools import partial

from msgspec.structs import replace

from gptterm.cli.options import RunOptions
from gptterm.cli.prompt import Input, open_terminal_as_stdin, read_input
from gptterm.cli.signals import Signals
from gptterm.cli.streams import Streams, configure_libraries
from gptterm.config import Settings, load_settings
from gptterm.errors import UsageError
from gptterm.terminal import is_dumb


def start(values: dict[str, object], options: RunOptions, signals: Signals) -> int:
    """Run what the options ask for; return the exit code.

    Args:
        values: the settings that options set.

    Raises:
        GpttermError: with its exit code.
    """
    signals.watch()
    require_directory()
    streams = Streams(quiet=options.quiet)
    signals.stderr = streams.err
    configure_libraries()
    settings = load_settings(values, api_key=options.api_key)
    _check(settings, options)
    if options.interactive or options.plain:
        return _interactive(settings, options, streams, signals)
    given = read_input(options.words, options.use_stdin)
    if given is not None and options.inline:
        raise UsageError("--inline is for a chat: add -i, or leave the prompt out")
    if given is not None:
        from gptterm.cli.oneshot import generate
        from gptterm.cli.task import task_input

        return generate(task_input(given, settings, options), settings, options, streams, signals)
    if not (os.isatty(0) and streams.out_is_terminal):
        raise UsageError("no prompt: give a PROMPT or text on stdin; see gptterm --help")
    return _interactive(settings, options, streams, signals)


def require_directory() -> None:
    """Refuse to start in a deleted working directory, where torch would abort the process."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UsageError("the working directory was deleted; cd to another") from None


def _check(settings: Settings, options: RunOptions) -> None:
    """Refuse options that contradict each other, before anything is read or loaded."""
    if options.logprobs is not None and not options.json:
        raise UsageError("--logprobs needs --json; see gptterm --help")
    if options.json and options.show_prompt:
        raise UsageError("--show-prompt prints a text: leave --json out")
    if options.json and options.echo:
        raise UsageError("--echo is for text: with --json the object has the prompt anyway")
    if options.task is not None:
        settings.task(options.task)
    elif options.examples:
        raise UsageError("--example is for a task: add --task NAME")
    if settings.form == "raw" and settings.origins["system"] == "option":
        raise UsageError("--system is for a chat, which --raw turns off")
    if settings.seed is not None and settings.seed + options.samples > 2**63:
        raise UsageError(
            "--seed is too large: sample i has the seed + i, and the last one would exceed 2^63 - 1"
        )
    if options.continue_last and options.conversation is not None:
        raise UsageError("--continue resumes the last chat: it does not go with --conversation")
    if options.interactive or options.plain:
        _refuse_one_shot(options, "-i and --plain do not take")
    if options.plain and options.inline:
        raise UsageError("--inline is for the drawn chat, which --plain turns off")


def _refuse_one_shot(options: RunOptions, problem: str) -> None:
    given = {
        "--json": options.json,
        "--echo": options.echo,
        "--no-stream": not options.stream,
        "--samples": options.samples != 1,
        "--task": options.task is not None,
        "--show-prompt": options.show_prompt,
    }
    for name, is_given in given.items():
        if is_given:
            raise UsageError(f"{problem} {name}: it is for a single prompt")


def _interactive(
    settings: Settings, options: RunOptions, streams: Streams, signals: Signals
) -> int:
    """Open the TUI; the plain chat if asked for, or if the terminal cannot be drawn on."""
    plain = options.plain or is_dumb()
    _refuse_one_shot(options, "a chat does not take")
    prompt = _first_prompt(options, plain=options.plain)
    if not plain and not (streams.out_is_terminal or (prompt and streams.err_is_terminal)):
        raise UsageError("-i needs a terminal on stdout; with a prompt, one on stderr will do")
    if plain and os.isatty(0) and not streams.out_is_terminal:
        raise UsageError(
            "--plain needs a terminal on stdout to ask for lines: give them on stdin instead"
        )
    if plain:
        from gptterm.cli.chat_history import ChatHistory, requested_chat
        from gptterm.cli.plain_chat import chat

        with ChatHistory(requested_chat(options), settings.save, streams) as history:
            return chat(
                settings, prompt, streams, signals, verbose=options.verbose, history=history
            )
    return _drawn(settings, prompt, options, streams, signals)


def _drawn(
    settings: Settings,
    prompt: str | None,
    options: RunOptions,
    streams: Streams,
    signals: Signals,
) -> int:
    """Open the TUI, and afterwards the plain chat if the user switches to it."""
    from gptterm.cli.chat_history import ChatHistory, requested_chat
    from gptterm.tui import run

    if not options.mouse:
        settings = replace(settings, tui=replace(settings.tui, mouse=False))
    # Its event loop handles signals itself.
    signals.release()
    left = run(
        settings, prompt,
        inline=options.inline, conversation=requested_chat(options), note=streams.note,
        # What was drawn is gone: the shell's scrollback gets the text.
        leave=partial(_print, streams) if options.inline and streams.out_is_terminal else None,
    )  # fmt: skip
    if isinstance(left, int):
        return left
    signals.reclaim()
    from gptterm.cli.plain_chat import chat

    with ChatHistory(None, settings.save, streams) as history:
        current = history.open_chat(left.conversation, left.saver)
        return chat(
            left.settings, None, streams, signals,
            verbose=options.verbose, history=history, current=current,
        )  # fmt: skip


def _print(streams: Streams, text: str) -> None:
    """Print a text on the terminal, with its lines broken between words."""
    from gptterm.cli.word_wrap import WordWrapper

    wrapper = WordWrapper(streams.width or 80)
    streams.write(wrapper.feed(text) + wrapper.end())


def _first_prompt(options: RunOptions, *, plain: bool) -> str | None:
    """The first message of the chat.

    A piped stdin is the first message of -i, which then reads from the terminal. For --plain it is
    the lines that a user would type.
    """
    if plain and not options.interactive:
        return " ".join(options.words) or None
    given: Input | None = read_input(options.words, options.use_stdin)
    if not os.isatty(0):
        open_terminal_as_stdin()
    return None if given is None else given.joined(chat=True)
