"""What one prompt and the plain chat share: finding a model, loading it, running a request."""

import os
from collections.abc import Generator

from gptterm.cli.output import Writer
from gptterm.cli.results import Record
from gptterm.cli.signals import Signals
from gptterm.cli.streams import ReaderGoneError, Streams, debugging
from gptterm.config import Settings
from gptterm.engine.api import (
    Engine,
    Event,
    Failed,
    GenerateRequest,
    ModelSource,
)
from gptterm.errors import GpttermError, ModelError, OutOfMemoryError, error_of


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


def load_model(
    settings: Settings, source: ModelSource, streams: Streams, signals: Signals
) -> Engine:
    """Attach to the warm engine for a model, or start one in this process.

    Raises:
        ModelError: the files do not make a model.
        OutOfMemoryError: there is no room for it.
    """

    engine = warm_engine(settings, source, streams, signals)
    if engine is not None:
        return engine
    with streams.silenced():
        from gptterm.engine.generation.loader import load_engine

        return load_engine(settings.load_request(source))


def consume(
    engine: Engine, record: Record, writer: Writer, streams: Streams, signals: Signals
) -> None:
    """Run a request to its end, or until a signal or the reader of stdout breaks it off.

    Afterwards every sample of the record has an end, and all is printed.

    Raises:
        ReaderGoneError: nobody reads stdout any more.
        GpttermError: stdout cannot be written.
    """
    events = _events(engine, record.request)
    with streams.silenced():
        try:
            for event in events:
                record.add(event)
                writer.event(event)
                if signals.pending is not None:
                    break
                # Without this a reader that left would only be noticed at the next write.
                if streams.reader_gone():
                    raise ReaderGoneError
        finally:
            events.close()
    for end in record.break_off():
        writer.event(end)
    writer.close()


def failed(failure: Failed) -> GpttermError:
    """Return the error that a failed generation is, with its exit code."""
    return error_of(failure.kind, failure.message)


def _events(engine: Engine, request: GenerateRequest) -> Generator[Event, None, None]:
    """The engine's events; an exception it did not foresee becomes an event too.

    So what was made by then is still printed, and a JSON line with it.
    """
    try:
        yield from engine.generate(request)
    except Exception as error:
        if debugging():
            raise
        message = f"internal error, {type(error).__name__}: {error} (GPTTERM_DEBUG=1 shows where)"
        yield Failed(kind="internal", message=message)


def warm_engine(
    settings: Settings, source: ModelSource, streams: Streams, signals: Signals
) -> Engine | None:
    """Attach to the warm engine for a model; with `keep_alive` on, start one if there is none.

    None where there is none, or where none can be had: a process of one's own does it, too.

    Raises:
        ModelError: the engine cannot load the model.
        OutOfMemoryError: there is no room for it.
    """
    keep_alive_s = settings.keep_alive_s
    if os.name != "posix":
        if keep_alive_s is not None:
            streams.note("keep_alive does nothing on this system")
        return None
    from gptterm.engine.daemon import registry

    def wait(ahead: int) -> None:
        prompts = "prompt is" if ahead == 1 else "prompts are"
        streams.note(f"the engine is busy: {ahead} other {prompts} before this one")

    try:
        if keep_alive_s is None and registry.socket_directory(make=False) is None:
            return None
        from gptterm.engine.daemon.sync_client import open_engine

        return open_engine(
            settings.load_request(source),
            keep_alive_s,
            on_wait=wait,
            interrupted=lambda: signals.pending is not None,
        )
    except (ModelError, OutOfMemoryError):
        raise
    except (GpttermError, OSError) as error:
        if keep_alive_s is not None:
            streams.note(f"no warm engine: {error}")
        return None
