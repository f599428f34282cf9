"""The chat without drawing: a line in, a reply out, nothing on the screen ever changes again.

For screen readers, dumb terminals and pipes of lines. Replies go to stdout; whatever else is to
be said goes to stderr.
"""

from gptterm.cli.chat_history import KeptChat, KeptChats, give_system, with_model_of
from gptterm.cli.line_input import PROMPT, Lines, terminal_restorer
from gptterm.cli.output import TextWriter, loaded, statistics
from gptterm.cli.results import Record
from gptterm.cli.run import consume, failed, find_model, load_model
from gptterm.cli.signals import EXIT_BASE, Mode, Signals
from gptterm.cli.streams import Streams
from gptterm.config import Settings
from gptterm.conversation import commands
from gptterm.conversation.completion import help_lines
from gptterm.conversation.export import export
from gptterm.conversation.nodes import Generation
from gptterm.conversation.tree import Conversation
from gptterm.engine.api import Engine, Event, Prompt
from gptterm.errors import GpttermError, UsageError
from gptterm.format import plural
from gptterm.terminal import one_line, printable

INTERRUPTED = 130
SHOWN_AT_MOST = 20
"""Turns of a chat that goes on which are shown again."""


def chat(
    settings: Settings,
    first: str | None,
    streams: Streams,
    signals: Signals,
    *,
    verbose: bool,
    kept: KeptChats,
    begun: KeptChat | None = None,
) -> int:
    """Chat until the user or the input ends it; return the exit code.

    Args:
        first: the first message, before any line is read.
        kept: the chats that are kept, and the one to begin with.
        begun: the chat that is left elsewhere to be gone on with here, with its model.

    Raises:
        GpttermError: the model cannot be had, stdin is not UTF-8, stdout cannot be written.
    """
    with signals.tidying(terminal_restorer()):
        if begun is None:
            begun = kept.first
            settings = with_model_of(begun, settings, streams.note)
            give_system(begun, settings, continued=kept.continued)
        plain = PlainChat(settings, streams, signals, kept, begun, verbose=verbose)
        return plain.run(first)


class _Quit(Exception):  # noqa: N818 - no error
    """The chat is over."""


class PlainChat:
    """One chat after another with one engine."""

    def __init__(
        self,
        settings: Settings,
        streams: Streams,
        signals: Signals,
        kept: KeptChats,
        begun: KeptChat,
        *,
        verbose: bool,
    ) -> None:
        self._settings = settings
        self._streams = streams
        self._signals = signals
        self._verbose = verbose
        self._lines = Lines(streams)
        self._kept = kept
        self._chat = begun
        self._last: Record | None = None
        self._code = 0
        """Exit code at the end of a pipe of lines: of the last one that failed."""
        self._engine = self._load(settings)

    def _show_begun(self) -> None:
        """Show what was said in the chat that goes on, as it would have been said here."""
        tree = self._chat.tree
        path = tree.path()
        if not path:
            return
        turns = plural(len(path), "turn")
        self._streams.inform(f"The chat goes on after {turns}: {one_line(tree.title)}")
        if len(path) > SHOWN_AT_MOST:
            self._streams.inform(
                f"(the last {SHOWN_AT_MOST}; gptterm history show {tree.id[:8]} prints all)"
            )
        for node in map(tree.node, path[-SHOWN_AT_MOST:]):
            mark = PROMPT if node.role == "user" else ""
            self._streams.inform(printable(f"{mark}{node.text.removesuffix(chr(10))}"))

    def run(self, first: str | None) -> int:
        """Read and answer; return the exit code."""
        self._show_begun()
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
                    self._lines.end()
                    return INTERRUPTED
                pressed, line = True, None
                self._streams.say("\n(Ctrl-C again, Ctrl-D or /quit ends the chat)")
            except EOFError:
                self._lines.end()
                return self._code

    def _read(self) -> str:
        self._kept.say_notices()
        with self._signals.raising():
            return self._lines.read()

    def _do(self, line: str) -> int | None:
        """Do what a line says; the exit code if the chat is over with it."""
        try:
            self._act(commands.parse_line(line, presets=self._settings.presets))
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

    def _act(self, line: commands.ParsedLine) -> None:
        match line:
            case commands.SendMessage(text=text):
                if text.strip():
                    self._say(text)
            case commands.Quit():
                raise _Quit
            case commands.ShowHelp(topic=topic):
                for help_line in help_lines(topic):
                    self._streams.say(printable(help_line))
            case commands.NewChat():
                self._chat = self._kept.keep(Conversation(self._chat.tree.system))
                self._streams.inform("A new chat.")
            case commands.ExportChat(path=path, overwrite=overwrite):
                export(self._chat.tree, path, overwrite=overwrite)
                self._streams.inform(f"Written to {one_line(str(path))}.")
            case commands.ShowStats():
                self._statistics()
            case commands.CopyReply() | commands.TogglePlain():
                raise UsageError("that is for the drawn chat; this one is plain text")
            case commands.Regenerate() | commands.ContinueReply() | commands.EditMessage():
                self._again(line)
            case _:
                self._change(line)

    # ------------------------------------------------------------------------- settings

    def _change(self, line: commands.Command) -> None:
        match line:
            case commands.UseModel(name=name):
                self._switch(self._settings.with_values({"model": name}, "/model"))
            case commands.SetSystem(text=text):
                self._chat.tree.system = text
                self._chat.save()
                self._streams.inform("The system text is set." if text else "No system text.")
            case commands.ChangeSetting(setting=name, value=value):
                self._settings = self._settings.with_values({name: value}, f"/{name}")
                self._streams.inform(f"{name} is {_shown(self._settings.value(name))}.")
            case commands.UsePreset(name=name):
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
        tree = self._chat.tree
        self._reply(tree.begin_reply(tree.add_user(text), self._planned()))

    def _again(self, line: commands.Command) -> None:
        """Regenerate, continue or edit: what goes back to a turn that is there."""
        chat = self._chat.tree
        reply = chat.last_reply()
        if reply is None:
            raise UsageError("there is no reply yet")
        match line:
            case commands.Regenerate():
                self._reply(chat.regenerate(reply, self._planned()))
            case commands.ContinueReply():
                chat.continue_reply(reply, self._planned())
                self._reply(reply)
            case commands.EditMessage(text=None):
                raise UsageError("/edit needs the new text of your last message here")
            case commands.EditMessage(text=str(text)):
                user = chat.edit(chat.path_to(reply)[-2], text)
                self._reply(chat.begin_reply(user, self._planned()))

    def _planned(self) -> Generation:
        settings = self._settings
        return Generation.for_model(
            self._engine.info, settings.sampling,
            seed=settings.seed, max_tokens=settings.max_tokens, stop=settings.stop,
            raw=settings.form == "raw",
        )  # fmt: skip

    def _prompt(self, reply: str) -> Prompt:
        tree = self._chat.tree
        if self._settings.form == "raw":
            return tree.raw_prompt(reply)
        return tree.chat_prompt(reply, self._engine.info, self._settings.transcript)

    def _reply(self, reply: str) -> None:
        """Have a reply written; what it answers is on the disk before, if that can be."""
        self._chat.commit()
        self._kept.say_notices()
        try:
            self._generate(reply)
        finally:
            self._chat.tree.finish(reply, "error")
            self._chat.save()

    def _generate(self, reply: str) -> None:
        """Generate and print; the reply is kept, also when it is broken off."""
        record = Record(self._settings.request(self._prompt(reply)), (), self._streams.note)
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

    def __init__(self, streams: Streams, record: Record, chat: KeptChat, reply: str) -> None:
        self._text = TextWriter(streams, record, stream=True)
        self._chat = chat
        self._reply = reply

    def event(self, event: Event) -> None:
        """Print first: who reads waits for it."""
        try:
            self._text.event(event)
        finally:
            self._chat.take(self._reply, event)

    def close(self) -> None:
        self._text.close()


def _shown(value: object) -> str:
    if value is None:
        return "random"
    return one_line(repr(list(value)) if isinstance(value, tuple) else str(value))
