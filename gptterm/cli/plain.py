"""The chat without drawing: a line in, a reply out, nothing on the screen ever changes again.

For screen readers, dumb terminals and pipes of lines. Replies go to stdout; whatever else is to
be said goes to stderr.
"""

import contextlib
import os
import sys
from collections.abc import Callable

from gptterm.cli.generation import consume, failed, find_model, load_model
from gptterm.cli.output import TextWriter, loaded, statistics
from gptterm.cli.record import Record
from gptterm.cli.signals import EXIT_BASE, Mode, Signals
from gptterm.cli.streams import Streams
from gptterm.config import Settings
from gptterm.conversation import commands
from gptterm.conversation.completion import help_lines
from gptterm.conversation.export import export
from gptterm.conversation.nodes import Generation
from gptterm.conversation.tree import Conversation, clean
from gptterm.engine.api import Engine, Event, GenerateRequest, TextPrompt
from gptterm.errors import GpttermError, UsageError
from gptterm.terminal import one_line, printable

PROMPT = "> "
INTERRUPTED = 130


def chat(
    settings: Settings,
    first: str | None,
    streams: Streams,
    signals: Signals,
    *,
    verbose: bool,
    conversation: Conversation | None = None,
) -> int:
    """Chat until the user or the input ends it; return the exit code.

    Args:
        first: the first message, before any line is read.
        conversation: what is gone on with; None for a new one.

    Raises:
        GpttermError: the model cannot be had, stdin is not UTF-8, stdout cannot be written.
    """
    with signals.tidying(_terminal_restorer()):
        plain = PlainChat(settings, streams, signals, verbose=verbose)
        if conversation is not None:
            plain.go_on_with(conversation)
        return plain.run(first)


class _Quit(Exception):  # noqa: N818 - no error
    """The chat is over."""


class PlainChat:
    """One chat after another with one engine."""

    def __init__(
        self, settings: Settings, streams: Streams, signals: Signals, *, verbose: bool
    ) -> None:
        self._settings = settings
        self._streams = streams
        self._signals = signals
        self._verbose = verbose
        self._lines = _Lines(streams)
        self._chat = Conversation(settings.system or "")
        self._last: Record | None = None
        self._code = 0
        """Exit code at the end of a pipe of lines: of the last one that failed."""
        self._engine = self._load(settings)

    def go_on_with(self, conversation: Conversation) -> None:
        """Take a conversation up where it is."""
        self._chat = conversation
        turns = len(conversation.path())
        self._streams.inform(
            f"The chat goes on after {turns} turn{'' if turns == 1 else 's'}: {conversation.title}"
            if turns
            else "A new chat."
        )

    def run(self, first: str | None) -> int:
        """Read and answer; return the exit code."""
        self._streams.inform("Type a message. /help lists the commands, Ctrl-D quits.")
        pressed = False
        line = first
        while True:
            if line is not None:
                code = self._do(line)
                if code is not None:
                    return code
            try:
                line = self._read()
                pressed = False
            except KeyboardInterrupt:
                if pressed:
                    return INTERRUPTED
                pressed, line = True, None
                self._streams.say("\n(Ctrl-C again, Ctrl-D or /quit ends the chat)")
            except EOFError:
                self._lines.end()
                return self._code

    def _read(self) -> str:
        with self._signals.raising():
            return self._lines.read()

    def _do(self, line: str) -> int | None:
        """Do what a line says; the exit code if the chat is over with it."""
        try:
            self._act(commands.parse(line, presets=self._settings.presets))
        except _Quit:
            return self._code
        except GpttermError as error:
            # One wrong word is no reason to lose the chat.
            self._streams.say(f"gptterm: error: {one_line(str(error))}")
            self._code = 0 if self._lines.typed else error.exit_code
        pending = self._signals.pending
        if pending is not None and EXIT_BASE + pending != INTERRUPTED:
            return EXIT_BASE + pending
        return None

    def _act(self, line: commands.Line) -> None:
        match line:
            case commands.Say(text=text):
                if text.strip():
                    self._say(text)
            case commands.Quit():
                raise _Quit
            case commands.Help(topic=topic):
                for help_line in help_lines(topic):
                    self._streams.say(printable(help_line))
            case commands.New():
                self._chat = Conversation(self._chat.system)
                self._streams.inform("A new chat.")
            case commands.Export(path=path, overwrite=overwrite):
                export(self._chat, path, overwrite=overwrite)
                self._streams.inform(f"Written to {one_line(str(path))}.")
            case commands.Stats():
                self._statistics()
            case commands.Model() | commands.System() | commands.Set() | commands.Preset():
                self._change(line)
            case commands.Copy() | commands.Plain():
                raise UsageError("that is for the drawn chat; this one is plain text")
            case _:
                self._again(line)

    # ------------------------------------------------------------------------- settings

    def _change(self, line: commands.Command) -> None:
        match line:
            case commands.Model(name=name):
                self._switch(self._settings.with_values({"model": name}, "/model"))
            case commands.System(text=text):
                self._chat.system = text
                self._streams.inform("The system text is set." if text else "No system text.")
            case commands.Set(setting=name, value=value):
                self._settings = self._settings.with_values({name: value}, f"/{name}")
                self._streams.inform(f"{name} is {_shown(self._settings.value(name))}.")
            case commands.Preset(name=name):
                self._settings = self._settings.with_values({"preset": name}, "/preset")
                self._streams.inform(f"The samplers are those of {one_line(name)}.")

    def _switch(self, settings: Settings) -> None:
        """Go on with another model; if it cannot be loaded, with the one before."""
        before = self._settings
        source, settings = find_model(settings, self._streams, self._signals)
        # The old one first: a machine may have room for one only.
        self._engine.close()
        try:
            self._engine = load_model(settings, source, self._streams, self._signals)
            self._settings = settings
        except GpttermError:
            self._engine = self._load(before)
            raise
        self._announce()

    def _load(self, settings: Settings) -> Engine:
        self._streams.inform(f"loading {one_line(settings.model)} ...")
        source, self._settings = find_model(settings, self._streams, self._signals)
        engine = load_model(self._settings, source, self._streams, self._signals)
        for notice in dict.fromkeys(
            [*self._settings.notices, *source.notices, *engine.info.notices]
        ):
            self._streams.note(notice)
        if self._verbose:
            self._streams.stats([loaded(engine.info)])
        return engine

    def _announce(self) -> None:
        info = self._engine.info
        self._streams.inform(f"{one_line(info.name)} on {info.device}, {info.dtype}.")

    # -------------------------------------------------------------------------- replies

    def _say(self, text: str) -> None:
        if self._settings.form == "raw":
            self._generate(self._settings.request(TextPrompt(text=clean(text))), None)
        else:
            user = self._chat.add_user(text)
            self._reply(self._chat.begin_reply(user, self._planned()))

    def _again(self, line: commands.Command) -> None:
        """Regenerate, continue or edit: what goes back to a turn that is there."""
        chat = self._chat
        reply = chat.last_reply()
        if reply is None:
            raise UsageError("there is no reply yet")
        match line:
            case commands.Regenerate():
                self._reply(chat.regenerate(reply, self._planned()))
            case commands.Continue():
                chat.continue_reply(reply, self._planned())
                self._reply(reply)
            case commands.Edit(text=None):
                raise UsageError("/edit needs the new text of your last message here")
            case commands.Edit(text=str(text)):
                user = chat.edit(chat.lineage(reply)[-2], text)
                self._reply(chat.begin_reply(user, self._planned()))

    def _planned(self) -> Generation:
        settings = self._settings
        return Generation.planned(
            self._engine.info, settings.sampling,
            seed=settings.seed, max_tokens=settings.max_tokens, stop=settings.stop,
        )  # fmt: skip

    def _reply(self, reply: str) -> None:
        prompt = self._chat.prompt(reply, self._engine.info, self._settings.transcript)
        try:
            self._generate(self._settings.request(prompt), reply)
        finally:
            self._chat.finish(reply, "error")

    def _generate(self, request: GenerateRequest, reply: str | None) -> None:
        """Generate and print; a reply of the chat is kept there, also when it is broken off."""
        record = Record(request, (), self._streams.note)
        writer = _ReplyWriter(self._streams, record, self._chat, reply)
        self._last = record
        self._signals.cancel_mode()
        try:
            consume(self._engine, record, writer, self._streams, self._signals)
        finally:
            self._signals.mode = Mode.EXIT
        if record.failure is not None:
            raise failed(record.failure)
        if self._signals.pending is not None:
            self._streams.inform("\n(stopped)")
        if self._verbose:
            self._statistics()

    def _statistics(self) -> None:
        if self._last is None:
            raise UsageError("there is no reply yet")
        self._streams.stats(statistics(self._last, self._engine.info))


class _ReplyWriter:
    """Prints a reply and keeps it in the chat."""

    def __init__(
        self, streams: Streams, record: Record, conversation: Conversation, reply: str | None
    ) -> None:
        self._text = TextWriter(streams, record, stream=True)
        self._chat = conversation
        self._reply = reply

    def event(self, event: Event) -> None:
        if self._reply is not None:
            self._chat.take(self._reply, event)
        self._text.event(event)

    def close(self) -> None:
        self._text.close()


class _Lines:
    """Reads lines: with editing and history at a terminal, else just what is there."""

    def __init__(self, streams: Streams) -> None:
        self.typed = sys.stdin.isatty() and streams.out_is_terminal
        self._streams = streams
        if self.typed:
            # `input` uses it once it is imported. Not every Python has it.
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401
            sys.stdin.reconfigure(errors="replace")  # type: ignore[union-attr]
        else:
            # A prompt is UTF-8 everywhere, whatever the locale.
            self._piped = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115

    def read(self) -> str:
        """The next line, without its end.

        Raises:
            EOFError: there is none.
            UsageError: it is not valid UTF-8.
        """
        if self.typed:
            return input(PROMPT)
        try:
            line = self._piped.readline()
        except UnicodeDecodeError as error:
            raise UsageError(f"stdin is not valid UTF-8 ({error.reason})") from None
        if not line:
            raise EOFError
        return line.removesuffix("\n")

    def end(self) -> None:
        """Leave the line that Ctrl-D was pressed on."""
        if self.typed:
            self._streams.say("")


def _shown(value: object) -> str:
    if value is None:
        return "random"
    return one_line(repr(list(value)) if isinstance(value, tuple) else str(value))


def _terminal_restorer() -> Callable[[], None]:
    """What puts the terminal back as it is now: reading a line with editing changes it."""
    if sys.platform == "win32" or not os.isatty(0):
        return lambda: None
    import termios

    state = termios.tcgetattr(0)
    return lambda: termios.tcsetattr(0, termios.TCSANOW, state)
