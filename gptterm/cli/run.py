"""Find a model, load it, run a request: the steps that one prompt and the plain chat share."""

import os
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from gptterm.cli.output import Writer
from gptterm.cli.results import Results
from gptterm.cli.signals import Interrupted, Signals
from gptterm.cli.streams import ReaderGoneError, Streams, debugging
from gptterm.config import Settings
from gptterm.engine.api import Engine, Event, Failed, GenerateRequest, ModelSource, RemoteModel
from gptterm.errors import GpttermError, ModelError, OutOfMemoryError, error_of, pass_exits
from gptterm.format import escaped, first_line, plural

if TYPE_CHECKING:
    from gptterm.engine.generation.engine import LocalEngine


def find_model(
    settings: Settings, streams: Streams, signals: Signals
) -> tuple[ModelSource, Settings]:
    """Find the model's files, downloading them if needed; merge its defaults into the settings.

    Raises:
        ModelError: it is not available.
        UsageError: its name has an address that is not valid.
    """
    remote = settings.remote
    if remote is not None:
        return _find_remote(settings, remote)
    from gptterm.models import generation_defaults, resolve

    # A progress bar hides the cursor; a signal that ends the process must show it again.
    with signals.cleaning_up(streams.show_cursor):
        source = resolve(
            settings.model,
            offline=settings.offline,
            progress=not streams.quiet,
            fallback=settings.model_is_default,
        )
    return source, settings.with_model_defaults(generation_defaults(source))


def has_chat_template(source: ModelSource) -> bool:
    """Whether a model's files have a chat template; false where they cannot be read."""
    from gptterm.models.metadata import read_metadata

    try:
        return read_metadata(source).has_chat_template
    except GpttermError:
        return False


def _find_remote(settings: Settings, remote: RemoteModel) -> tuple[ModelSource, Settings]:
    """Ask the server about the model; samplers that it may not take are neutral by default."""
    from gptterm.engine.remote.engine import find_remote
    from gptterm.models import generation_defaults

    access = settings.servers.access(remote)
    source = find_remote(remote, access, offline=settings.offline)
    unused = [name for name in _LOCAL_ONLY if settings.origins[name] == "option"]
    if unused:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in unused)
        notice = f"{names}: not used, since the model is on a server"
        source = replace(source, notices=(*source.notices, notice))
    return source, settings.with_model_defaults(generation_defaults(source))


_LOCAL_ONLY = ("adapter", "device", "dtype", "kv_dtype", "context", "keep_alive")


def load_model(
    settings: Settings, source: ModelSource, streams: Streams, signals: Signals
) -> Engine:
    """Connect to the model's server or its warm engine, or load the model in this process.

    Raises:
        ModelError: the files are not a model.
        OutOfMemoryError: the model does not fit in memory.
    """
    if source.remote is not None:
        from gptterm.engine.remote.engine import RemoteEngine

        access = settings.servers.access(source.remote)
        return RemoteEngine(source, access, lambda: signals.pending is not None)
    engine = attach_warm_engine(settings, source, streams, signals)
    if engine is not None:
        return engine
    return load_here(settings, source, streams)


def load_here(settings: Settings, source: ModelSource, streams: Streams) -> "LocalEngine":
    """Load a model's files in this process. Raises as `load_model` does."""
    with streams.silenced():
        from gptterm.engine.generation.loader import load_engine
        from gptterm.engine.kernels.bus_errors import report_bus_errors

        cut = f"the files of {escaped(source.name)} were cut short while they were read"
        line = f"gptterm: error: {cut}; fetch the model again"
        report_bus_errors(streams.err, line, ModelError.exit_code)
        return load_engine(settings.load_request(source))


def run_request(
    engine: Engine, results: Results, writer: Writer, streams: Streams, signals: Signals
) -> None:
    """Run a request to its end, or until a signal or a closed stdout cancels it.

    Afterwards every sample has ended and everything is printed.

    Raises:
        ReaderGoneError: the reader has closed stdout.
        GpttermError: stdout cannot be written.
    """
    events = _events(engine, results.request)
    with streams.silenced():
        try:
            for event in _after_interruptible_start(events, signals):
                results.add(event)
                writer.event(event)
                if signals.pending is not None:
                    break
                # Else a closed stdout is noticed only at the next write.
                if streams.reader_gone():
                    raise ReaderGoneError
        finally:
            events.close()
    for end in results.end_unfinished():
        writer.event(end)
    writer.close()


def _after_interruptible_start(
    events: Generator[Event, None, None], signals: Signals
) -> Iterator[Event]:
    """The events. A signal before the first one ends them: a template or a tokenizer may take
    seconds over the prompt."""
    try:
        with signals.interrupting():
            first = next(events, None)
    except Interrupted:
        return
    if first is not None:
        yield first
        yield from events


def failure_error(failure: Failed) -> GpttermError:
    """Return the error, with its exit code, for a failed generation."""
    return error_of(failure.kind, failure.message)


def _events(engine: Engine, request: GenerateRequest) -> Generator[Event, None, None]:
    """The engine's events. An unexpected exception becomes an event too.

    So the text generated by then is still printed, and the JSON line with it.
    """
    try:
        yield from engine.generate(request)
    except BaseException as error:
        pass_exits(error)
        if debugging():
            raise
        what = f"{type(error).__name__}: {first_line(error)}"
        message = f"internal error, {what} (GPTTERM_DEBUG=1 shows where)"
        yield Failed(kind="internal", message=message)


def attach_warm_engine(
    settings: Settings, source: ModelSource, streams: Streams, signals: Signals
) -> Engine | None:
    """Attach to the model's warm engine; with `keep_alive` on, start one if none runs.

    Returns:
        None if none runs or none can be started: this process can load the model itself.

    Raises:
        ModelError: the engine cannot load the model.
        OutOfMemoryError: the model does not fit in memory.
    """
    keep_alive_s = settings.keep_alive_s
    if os.name != "posix":
        if keep_alive_s is not None:
            streams.note("keep_alive does nothing on this system")
        return None
    from gptterm.engine.daemon import registry

    def wait(ahead: int) -> None:
        streams.note(f"the engine is busy: {plural(ahead, 'prompt')} ahead of this one")

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
