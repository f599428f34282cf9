"""One prompt, one generation, exit."""

from gptterm.cli.chat_history import (
    Keeping,
    KeepingWriter,
    KeptChats,
    give_system,
    wanted_chat,
    with_model_of,
)
from gptterm.cli.options import RunOptions
from gptterm.cli.output import JsonWriter, TextWriter, Writer, loaded, statistics
from gptterm.cli.prompt import Input
from gptterm.cli.results import Record
from gptterm.cli.run import consume, failed, find_model, load_model
from gptterm.cli.signals import EXIT_BASE, Signals
from gptterm.cli.streams import ReaderGoneError, Streams
from gptterm.config import Settings
from gptterm.engine.api import Engine


def generate(
    given: Input, settings: Settings, options: RunOptions, streams: Streams, signals: Signals
) -> int:
    """Generate and print; return the exit code.

    Raises:
        GpttermError: it failed; what was made by then is printed.
        ReaderGoneError: nobody reads stdout.
    """
    if streams.reader_gone():
        raise ReaderGoneError
    with (
        KeptChats(wanted_chat(options), settings.save, streams) as kept,
        Keeping(kept.first) as keeping,
    ):
        return _OneShot(settings, options, streams, signals, kept, keeping).run(given)


class _OneShot:
    """What a single generation goes through."""

    def __init__(
        self,
        settings: Settings,
        options: RunOptions,
        streams: Streams,
        signals: Signals,
        kept: KeptChats,
        keeping: Keeping,
    ) -> None:
        self._settings = settings
        self._options = options
        self._streams = streams
        self._signals = signals
        self._kept = kept
        self._keeping = keeping
        self._notices: list[str] = []

    def run(self, given: Input) -> int:
        engine = self._load()
        chat = self._is_chat(engine)
        if self._settings.system and not chat:
            self._note(
                f"the system text is not used: {engine.info.name} continues the prompt "
                "(--chat makes it a chat)"
            )
        record = self._generate(engine, given, chat)
        if self._options.verbose:
            self._streams.stats(statistics(record, engine.info))
        if record.failure is not None:
            raise failed(record.failure)
        pending = self._signals.pending
        return 0 if pending is None else EXIT_BASE + pending

    def _load(self) -> Engine:
        self._settings = with_model_of(self._kept.first, self._settings, self._note)
        source, settings = find_model(self._settings, self._streams, self._signals)
        self._settings = settings
        # At once: loading takes seconds, and another model than the one meant may be loading.
        self._note(*settings.notices, *source.notices)
        engine = load_model(settings, source, self._streams, self._signals)
        # Before the first word about it: whoever reads that we got here may cancel from here.
        self._signals.cancel_mode()
        if self._options.verbose:
            self._streams.stats([loaded(engine.info)])
        self._note(*engine.info.notices)
        return engine

    def _note(self, *notices: str) -> None:
        for notice in notices:
            if notice not in self._notices:
                self._notices.append(notice)
                self._streams.note(notice)

    def _is_chat(self, engine: Engine) -> bool:
        form = self._settings.form
        if form != "auto":
            return form == "chat"
        # What began as a chat goes on as one, also with a model that only continues.
        return engine.info.has_chat_template or self._kept.first.is_chat

    def _generate(self, engine: Engine, given: Input, chat: bool) -> Record:
        options, streams, keeping = self._options, self._streams, self._keeping
        text = given.joined(chat)
        if chat:
            give_system(self._kept.first, self._settings, continued=self._kept.continued)
        keeping.ask(text)
        keeping.begin(engine.info, self._settings, options.samples, chat=chat)
        logprobs = options.logprobs
        if logprobs is not None:
            logprobs = min(logprobs, engine.info.vocab_size)
        prompt = keeping.prompt(engine.info, self._settings, chat)
        request = self._settings.request(prompt, samples=options.samples, logprobs=logprobs)
        record = Record(request, self._notices, streams.note)
        writer: Writer
        if options.json:
            writer = JsonWriter(streams, record, engine.info, text)
        else:
            echo = (f"{text}\n\n" if chat else text) if options.echo else ""
            writer = TextWriter(streams, record, echo=echo, stream=options.stream)
        consume(engine, record, KeepingWriter(writer, keeping), streams, self._signals)
        return record
