"""One prompt, one generation, exit."""

from gptterm.cli.options import RunOptions
from gptterm.cli.output import JsonWriter, TextWriter, Writer, loaded, statistics
from gptterm.cli.prompt import Input
from gptterm.cli.record import Record
from gptterm.cli.signals import EXIT_BASE, Signals
from gptterm.cli.streams import ReaderGoneError, Streams
from gptterm.config import Settings
from gptterm.engine.api import Engine, FailureKind, ModelInfo, ModelSource, Started
from gptterm.errors import (
    GpttermError,
    ModelError,
    OutOfMemoryError,
    PromptTooLongError,
    UsageError,
)

_ERRORS: dict[FailureKind, type[GpttermError]] = {
    "usage": UsageError,
    "model": ModelError,
    "out_of_memory": OutOfMemoryError,
    "prompt_too_long": PromptTooLongError,
    "internal": GpttermError,
}


def find_model(
    settings: Settings, streams: Streams, signals: Signals
) -> tuple[ModelSource, Settings]:
    """Find the model's files, downloading them if need be; take its own defaults in.

    Raises:
        ModelError: it cannot be had.
    """
    from gptterm.models import generation_defaults, resolve

    # A bar hides the cursor. Whatever ends the process must show it again.
    with signals.tidying(streams.show_cursor):
        source = resolve(
            settings.model,
            offline=settings.offline,
            progress=not streams.quiet,
            fallback=settings.model_is_default,
        )
    return source, settings.with_model_defaults(generation_defaults(source))


def load_model(settings: Settings, source: ModelSource, streams: Streams) -> Engine:
    """Start an engine in this process.

    Raises:
        ModelError: the files do not make a model.
        OutOfMemoryError: there is no room for it.
    """
    with streams.silenced():
        from gptterm.engine.local import load_engine

        return load_engine(settings.load_request(source))


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
    info = engine.info
    if options.verbose:
        streams.stats([loaded(info)])
    notices = _notices(settings, source, info)
    for notice in notices:
        streams.note(notice)
    return _run(engine, given, settings, options, streams, signals, notices)


def _is_chat(settings: Settings, info: ModelInfo) -> bool:
    return settings.form == "chat" or (settings.form == "auto" and info.has_chat_template)


def _notices(settings: Settings, source: ModelSource, info: ModelInfo) -> list[str]:
    notices = list(dict.fromkeys([*source.notices, *info.notices]))
    if settings.system and not _is_chat(settings, info):
        notices.append(
            f"the system text is not used: {info.name} continues the prompt "
            "(--chat makes it a chat)"
        )
    return notices


def _run(
    engine: Engine,
    given: Input,
    settings: Settings,
    options: RunOptions,
    streams: Streams,
    signals: Signals,
    notices: list[str],
) -> int:
    chat = _is_chat(settings, engine.info)
    text = given.joined(chat)
    logprobs = options.logprobs
    if logprobs is not None:
        logprobs = min(logprobs, engine.info.vocab_size)
    request = settings.request(
        given.prompt(settings, chat), samples=options.samples, logprobs=logprobs
    )
    record = Record(request)
    writer: Writer
    if options.json:
        writer = JsonWriter(streams, record, engine.info, text, notices)
    else:
        echo = f"{text}\n\n" if chat else text
        writer = TextWriter(
            streams, record, echo=echo if options.echo else "", stream=options.stream
        )
    with streams.silenced():
        _consume(engine, record, writer, streams, signals, notices)
    if options.verbose:
        streams.stats(statistics(record, engine.info))
    if record.failure is not None:
        raise _ERRORS[record.failure.kind](record.failure.message)
    return 0 if signals.pending is None else EXIT_BASE + signals.pending


def _consume(
    engine: Engine,
    record: Record,
    writer: Writer,
    streams: Streams,
    signals: Signals,
    notices: list[str],
) -> None:
    """Run the generation to its end, or until a signal or the reader of stdout breaks it off."""
    signals.cancel_mode()
    events = engine.generate(record.request)
    try:
        for event in events:
            record.add(event)
            if isinstance(event, Started):
                for notice in event.notices:
                    notices.append(notice)
                    streams.note(notice)
            writer.event(event)
            if signals.pending is not None:
                break
            # Without this a reader that left would only be noticed at the next write.
            if streams.reader_gone():
                raise ReaderGoneError
    finally:
        events.close()
    record.break_off()
    writer.close()
