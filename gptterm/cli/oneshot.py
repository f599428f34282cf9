"""One prompt, one generation, exit."""

from gptterm.cli.generation import consume, failed, find_model, load_model
from gptterm.cli.options import RunOptions
from gptterm.cli.output import JsonWriter, TextWriter, Writer, loaded, statistics
from gptterm.cli.prompt import Input
from gptterm.cli.record import Record
from gptterm.cli.signals import EXIT_BASE, Signals
from gptterm.cli.streams import ReaderGoneError, Streams
from gptterm.config import Settings
from gptterm.engine.api import Engine, ModelInfo, ModelSource


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
    source, settings = find_model(settings, streams, signals)
    engine = load_model(settings, source, streams)
    # Before the first word about it: whoever reads that we got here may cancel from here.
    signals.cancel_mode()
    if options.verbose:
        streams.stats([loaded(engine.info)])
    record = _run(engine, source, given, settings, options, streams, signals)
    if options.verbose:
        streams.stats(statistics(record, engine.info))
    if record.failure is not None:
        raise failed(record.failure)
    return 0 if signals.pending is None else EXIT_BASE + signals.pending


def _run(
    engine: Engine,
    source: ModelSource,
    given: Input,
    settings: Settings,
    options: RunOptions,
    streams: Streams,
    signals: Signals,
) -> Record:
    info = engine.info
    chat = settings.form == "chat" or (settings.form == "auto" and info.has_chat_template)
    logprobs = options.logprobs
    if logprobs is not None:
        logprobs = min(logprobs, info.vocab_size)
    request = settings.request(
        given.prompt(settings, chat), samples=options.samples, logprobs=logprobs
    )
    record = Record(request, _notices(settings, source, info, chat), streams.note)
    text = given.joined(chat)
    writer: Writer
    if options.json:
        writer = JsonWriter(streams, record, info, text)
    else:
        echo = f"{text}\n\n" if chat else text
        writer = TextWriter(
            streams, record, echo=echo if options.echo else "", stream=options.stream
        )
    consume(engine, record, writer, streams, signals)
    return record


def _notices(settings: Settings, source: ModelSource, info: ModelInfo, chat: bool) -> list[str]:
    notices = list(dict.fromkeys([*settings.notices, *source.notices, *info.notices]))
    if settings.system and not chat:
        notices.append(
            f"the system text is not used: {info.name} continues the prompt "
            "(--chat makes it a chat)"
        )
    return notices
