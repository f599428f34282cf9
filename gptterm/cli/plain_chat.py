"""Plain chat: read a line, print the reply, never redraw.

For screen readers, dumb terminals and piped lines. Replies go to stdout, all else to stderr.
"""

from gptterm.cli.chat_history import ChatHistory, OpenChat, resume_with_its_model
from gptterm.cli.line_input import PROMPT, LineReader, terminal_restorer
from gptterm.cli.output import TextWriter, loaded_line, statistics_lines
from gptterm.cli.results import Results
from gptterm.cli.run import failure_error, find_model, load_model, run_request
from gptterm.cli.signals import EXIT_BASE, Signals
from gptterm.cli.streams import Streams
from gptterm.config import Settings
from gptterm.conversation import commands
from gptterm.conversation.command_help import help_lines
from gptterm.conversation.export import export
from gptterm.conversation.nodes import Generation
from gptterm.conversation.resume import system_text
from gptterm.conversation.tree import Conversation
from gptterm.engine.api import Engine, Event, ModelSource, Prompt
from gptterm.errors import GpttermError, UsageError
from gptterm.format import plural
from gptterm.terminal import one_line, printable

INTERRUPTED = 130
MAX_SHOWN_TURNS = 20
"""Turns of a resumed chat that are printed again."""


def chat(
    settings: Settings,
    first: str | None,
    streams: Streams,
    signals: Signals,
    *,
    verbose: bool,
    history: ChatHistory,
    current: OpenChat | None = None,
) -> int:
    """Chat until the user or the input ends it; return the exit code.

    Args:
        first: the first message, before any line is read.
        history: saves the chats, and has the one to begin with.
        current: the chat to continue, with its model, when the TUI was left for the plain chat.

    Raises:
        GpttermError: the model is not available, stdin is not UTF-8, stdout cannot be written.
    """
    with signals.cleaning_up(terminal_restorer()):
        if current is None:
            current = history.first
            settings = resume_with_its_model(current, settings, streams.note)
            current.tree.system = system_text(current.tree, settings, resumed=history.resumed)
        plain = PlainChat(settings, streams, signals, history, current, verbose=verbose)
        return plain.run(first)


class _Quit(Exception):  # noqa: N818 - not an error
    """Ends the chat."""


class PlainChat:
    """A session of plain chats with one engine."""

    def __init__(
        self,
        settings: Settings,
        streams: Streams,
        signals: Signals,
        history: ChatHistory,
        current: OpenChat,
        *,
        verbose: bool,
    ) -> None:
        self._settings = settings
        self._streams = streams
        self._signals = signals
        self._verbose = verbose
        self._lines = LineReader(streams)
        self._history = history
        self._chat = current
        self._last: Results | None = None
        self._code = 0
        """Exit code at the end of piped lines: that of the last one that failed."""
        self._engine = self._load(settings)

    def _show_resumed(self) -> None:
        """Print the last turns of a resumed chat, as they would have looked here."""
        tree = self._chat.tree
        path = tree.path()
        if not path:
            return
        turns = plural(len(path), "turn")
        self._streams.inform(f"Continuing after {turns}: {one_line(tree.title)}")
        if len(path) > MAX_SHOWN_TURNS:
            self._streams.inform(
                f"(the last {MAX_SHOWN_TURNS}; gptterm history show {tree.id[:8]} prints all)"
            )
        for node in map(tree.node, path[-MAX_SHOWN_TURNS:]):
            mark = PROMPT if node.role == "user" else ""
            self._streams.inform(printable(f"{mark}{node.text.removesuffix(chr(10))}"))

    def run(self, first: str | None) -> int:
        """Read lines and answer them; return the exit code."""
        # A Ctrl-C between two prompts is the next one's, if there is no reply for it to stop.
        self._signals.cancel_mode()
        self._show_resumed()
        self._streams.inform("Type a message. /help lists the commands, Ctrl-D quits.")
        pressed = False
        line = first
        while True:
            if line is not None:
                code = self._run_line(line)
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
        self._history.show_notices()
        with self._signals.raising():
            return self._lines.read()

    def _run_line(self, line: str) -> int | None:
        """Run a line; return the exit code if it ends the chat."""
        try:
            self._act(commands.parse_line(line, presets=self._settings.presets))
        except _Quit:
            return self._code
        except GpttermError as error:
            # A failed line does not end the chat.
            self._streams.say(f"gptterm: error: {one_line(str(error))}")
            self._code = 0 if self._lines.is_interactive else error.exit_code
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
                self._chat = self._history.open_chat(Conversation(self._chat.tree.system))
                self._streams.inform("A new chat.")
            case commands.ExportChat(path=path, overwrite=overwrite):
                export(self._chat.tree, path, overwrite=overwrite)
                self._streams.inform(f"Written to {one_line(str(path))}.")
            case commands.ShowStats():
                self._statistics()
            case commands.ShowSettings():
                raise UsageError("`gptterm config edit` changes the settings outside of a chat")
            case commands.TogglePlain():
                raise UsageError("this is the plain chat; gptterm -c goes on with it, drawn")
            case commands.CopyReply():
                raise UsageError("that works in the drawn chat only; this one is plain text")
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
                self._streams.inform(f"{name} is {_display_value(self._settings.value(name))}.")
            case commands.UsePreset(name=name):
                self._settings = self._settings.with_values({"preset": name}, "/preset")
                self._streams.inform(f"The samplers are those of {one_line(name)}.")

    def _switch(self, settings: Settings) -> None:
        """Switch to another model; if it cannot be loaded, back to the previous one."""
        self._signals.exit_mode()
        try:
            source, settings = find_model(settings, self._streams, self._signals)
            self._load_instead(settings, source)
        finally:
            self._signals.cancel_mode()
        self._announce()

    def _load_instead(self, settings: Settings, source: ModelSource) -> None:
        before = self._settings
        # Unload first: the machine may have memory for one model only.
        self._engine.close()
        try:
            self._engine = load_model(settings, source, self._streams, self._signals)
            self._settings = settings
        except GpttermError:
            self._engine = self._load(before)
            raise

    def _load(self, settings: Settings) -> Engine:
        self._streams.inform(f"loading {one_line(settings.model)} ...")
        source, self._settings = find_model(settings, self._streams, self._signals)
        engine = load_model(self._settings, source, self._streams, self._signals)
        for notice in dict.fromkeys(
            [*self._settings.notices, *source.notices, *engine.info.notices]
        ):
            self._streams.note(notice)
        if self._verbose:
            self._streams.stats([loaded_line(engine.info)])
        return engine

    def _announce(self) -> None:
        info = self._engine.info
        place = ", ".join(filter(None, (info.device, info.dtype)))
        self._streams.inform(f"{one_line(info.name)} on {place}.")

    # -------------------------------------------------------------------------- replies

    def _say(self, text: str) -> None:
        tree = self._chat.tree
        self._reply(tree.begin_reply(tree.add_user(text), self._planned()))

    def _again(self, line: commands.Command) -> None:
        """Regenerate, continue or edit an existing turn."""
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
                raise UsageError("/edit needs the new text of your last message")
            case commands.EditMessage(text=str(text)):
                user = chat.edit(chat.path_to(reply)[-2], text)
                self._reply(chat.begin_reply(user, self._planned()))

    def _planned(self) -> Generation:
        settings = self._settings
        return Generation.for_model(
            self._engine.info, settings.sampling,
            seed=settings.seed, max_tokens=settings.max_tokens, stop=settings.stop,
            until=settings.until, raw=settings.form == "raw",
        )  # fmt: skip

    def _prompt(self, reply: str) -> Prompt:
        tree = self._chat.tree
        if self._settings.form == "raw":
            return tree.raw_prompt(reply)
        return tree.chat_prompt(reply, self._engine.info, self._settings.transcript)

    def _reply(self, reply: str) -> None:
        """Generate a reply; the message it answers is on the disk first, if possible."""
        self._chat.commit()
        self._history.show_notices()
        try:
            self._generate(reply)
        finally:
            self._signals.forget_interrupt()
            self._chat.tree.finish(reply, "error")
            self._chat.save()

    def _generate(self, reply: str) -> None:
        """Generate and print; the reply is saved even if it is cancelled."""
        results = Results(self._settings.request(self._prompt(reply)), (), self._streams.note)
        writer = _ReplyWriter(self._streams, results, self._chat, reply)
        self._last = results
        run_request(self._engine, results, writer, self._streams, self._signals)
        if results.failure is not None:
            raise failure_error(results.failure)
        if self._signals.pending is not None:
            self._streams.inform("\n(stopped)")
        if self._verbose:
            self._statistics()

    def _statistics(self) -> None:
        if self._last is None:
            raise UsageError("there is no reply yet")
        self._streams.stats(statistics_lines(self._last, self._engine.info))


class _ReplyWriter:
    """Prints a reply and saves it in the chat."""

    def __init__(self, streams: Streams, results: Results, chat: OpenChat, reply: str) -> None:
        self._text = TextWriter(streams, results, stream=True, width=streams.width)
        self._chat = chat
        self._reply = reply

    def event(self, event: Event) -> None:
        """Print, then save: the reader waits for the text."""
        try:
            self._text.event(event)
        finally:
            self._chat.apply_event(self._reply, event)

    def close(self) -> None:
        self._text.close()


def _display_value(value: object) -> str:
    if value is None:
        return "random"
    return one_line(repr(list(value)) if isinstance(value, tuple) else str(value))
