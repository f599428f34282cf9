"""Begin a batch: open the input, find the model, choose the engine, run."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from gptterm.cli.batch.jobs import JobMaker
from gptterm.cli.batch.line_parser import LineParser
from gptterm.cli.batch.local import ROWS, run_local
from gptterm.cli.batch.manifest import Content, new_manifest, survey
from gptterm.cli.batch.options import BatchOptions
from gptterm.cli.batch.output_file import OutputFile
from gptterm.cli.batch.progress import Display, progress
from gptterm.cli.batch.reader import LineReader
from gptterm.cli.batch.run import BatchRun, Tally
from gptterm.cli.batch.sink import Sink
from gptterm.cli.batch.workers import Answer, run_workers
from gptterm.cli.batch.writer import BackgroundWriter
from gptterm.cli.dispatch import require_directory
from gptterm.cli.run import find_model, load_model
from gptterm.cli.signals import EXIT_BASE, Signals
from gptterm.cli.streams import ReaderGoneError, Streams, configure_libraries
from gptterm.config import Settings, load_settings
from gptterm.engine.api import Event, GenerateRequest, LoadRequest, ModelInfo, ModelSource
from gptterm.engine.batching import BatchingEngine
from gptterm.errors import GpttermError, UsageError
from gptterm.format import duration, escaped, latency, plural, token_rate
from gptterm.regular_files import open_regular

_ELSEWHERE = 16
"""Lines at work at once on a server, or on a warm engine, which decodes as many rows."""
_RETRIES = 8
"""Of a request to a server that is too busy or limits their rate: nobody waits for one line."""
_WINDOW = 1024
"""Lines begun beyond the first that has not ended, or 16 times those at work: a bound for the
results that wait for an earlier one."""
_MOST_NOTICES = 20
_LAST_WRITES_S = 1.0
"""Wait for a reader that is slow, when the user wants to stop."""
_POLL_S = 0.1


def start(values: dict[str, object], options: BatchOptions, signals: Signals) -> int:
    """Run the command; return the exit code.

    Args:
        values: the settings that options set.

    Raises:
        GpttermError: it cannot begin, or cannot go on.
        ReaderGoneError: the reader of stdout has closed it.
    """
    _check(options)
    require_directory()
    streams = Streams(quiet=options.quiet)
    signals.stderr = streams.err
    configure_libraries()
    if options.output is None and streams.reader_gone():
        raise ReaderGoneError
    settings = load_settings(values, api_key=options.api_key)
    with contextlib.ExitStack() as stack:
        descriptor = stack.enter_context(_input(options.file))
        content = survey(descriptor)
        output = None
        if options.output is not None:
            if options.resume and content is None:
                raise UsageError("--resume needs a FILE to read again: stdin is gone")
            output = stack.enter_context(OutputFile(Path(options.output), resume=options.resume))
        run = _Batch(settings, options, streams, signals, output)
        return run.run(LineReader(descriptor), content)


def _check(options: BatchOptions) -> None:
    if options.resume and options.output is None:
        raise UsageError("--resume needs --output: it goes on with that file")
    if options.retry_errors and not options.resume:
        raise UsageError("--retry-errors needs --resume")


@contextlib.contextmanager
def _input(file: str | None) -> Iterator[int]:
    """Open the input; yield its descriptor."""
    if file is None or file == "-":
        if os.isatty(0):
            raise UsageError("no input: give a FILE, or lines on stdin; see gptterm batch --help")
        yield 0
        return
    try:
        with open_regular(Path(file)) as stream:
            yield stream.fileno()
    except OSError as error:
        raise UsageError(f"cannot read {escaped(file)}: {error.strerror}") from None


class _Batch:
    """The steps of one run of the command."""

    def __init__(
        self,
        settings: Settings,
        options: BatchOptions,
        streams: Streams,
        signals: Signals,
        output: OutputFile | None,
    ) -> None:
        self._output = output
        self._settings = settings
        self._options = options
        self._streams = streams
        self._signals = signals
        self._notices: list[str] = []
        self._show_note: Callable[[str], None] = streams.note

    def run(self, reader: LineReader, content: Content | None) -> int:
        """Run the lines; return the exit code. Raises as `start` does."""
        source, settings = find_model(self._settings, self._streams, self._signals)
        self._settings = settings
        self._note(*settings.notices, *source.notices)
        engine = None
        if source.remote is None:
            engine = load_model(settings, source, self._streams, self._signals)
            info = engine.info
            self._note(*info.notices)
        else:
            from gptterm.engine.remote.discovery import model_info

            info = model_info(source)
        if self._output is not None:
            manifest = new_manifest(info, self._settings, self._options, content)
            self._output.begin(manifest, retry_errors=self._options.retry_errors)
        self._signals.cancel_mode()
        total = None if content is None else content.lines
        with progress(self._streams, total) as display, self._streams.silenced():
            self._show_note = display.note
            if self._output is None:
                writer = BackgroundWriter(self._streams.write_bytes, self._streams.takes)
            else:
                writer = BackgroundWriter(self._output.write, lambda _: True)
            run = self._new_run(reader, source, info, display, writer)
            if isinstance(engine, BatchingEngine):
                run_local(engine, run, self._options.concurrency or ROWS, self._interrupted)
            else:
                asyncio.run(self._run_elsewhere(source, run))
            while not writer.flush(_POLL_S):
                if self._interrupted():
                    writer.flush(_LAST_WRITES_S)
                    break
        return self._end(run.tally)

    def _new_run(
        self,
        reader: LineReader,
        source: ModelSource,
        info: ModelInfo,
        display: Display,
        writer: BackgroundWriter,
    ) -> BatchRun:
        names = {self._settings.model, source.name}
        if source.remote is not None:
            names.add(source.remote.model)
        options = self._options
        logprobs = options.logprobs
        if logprobs is not None and info.vocab_size:
            logprobs = min(logprobs, info.vocab_size)
        maker = JobMaker(
            self._settings, answers=info.has_chat_template, logprobs=logprobs, models=names,
            note=self._note,
        )  # fmt: skip
        parser = LineParser(maker, plain=options.plain)
        output = self._output
        window = max(_WINDOW, 16 * (options.concurrency or 0))
        sink = Sink(writer.put, ordered=not options.unordered, window=window)
        return BatchRun(
            reader, parser, sink, writer, info, done=() if output is None else output.done,
            on_change=display.update, note=self._note,
        )  # fmt: skip

    def _interrupted(self) -> bool:
        # Else a closed stdout is noticed only at the next write.
        if self._output is None and self._streams.reader_gone():
            raise ReaderGoneError
        return self._signals.pending is not None

    async def _run_elsewhere(self, source: ModelSource, run: BatchRun) -> None:
        """Run on a server, or on a warm engine by as many clients as it decodes rows."""
        wanted = self._options.concurrency or _ELSEWHERE
        if source.remote is not None:
            from gptterm.engine.remote.session import Session
            from gptterm.engine.remote.transports import open_transport

            access = self._settings.servers.access(source.remote)
            prepare = partial(open_transport, retries=_RETRIES)
            session = Session(source.remote, access, remembers=True, prepare=prepare)
            try:
                await session.open()
                await run_workers([session.answer] * wanted, run, self._interrupted)
            finally:
                await session.close()
            return
        async with contextlib.AsyncExitStack() as stack:
            request = self._settings.load_request(source)
            workers = [
                await _warm_client(request, self._settings.keep_alive_s, stack)
                for _ in range(min(wanted, _ELSEWHERE))
            ]
            await run_workers(workers, run, self._interrupted)

    def _note(self, *notices: str) -> None:
        for notice in notices:
            if notice not in self._notices and len(self._notices) < _MOST_NOTICES:
                self._notices.append(notice)
                self._show_note(notice)

    def _end(self, tally: Tally) -> int:
        """Tell what was done; return the exit code."""
        ended = tally.done + tally.failed
        line = (
            f"{plural(ended, 'line')} in {_took(tally.elapsed_s)}, {tally.failed:,} failed; "
            f"{plural(tally.tokens, 'token')}, {token_rate(tally.tokens_per_s)}"
        )
        if self._options.verbose:
            self._streams.stats([line])
        else:
            self._streams.inform(f"gptterm: {line}")
        if self._signals.pending is not None:
            return EXIT_BASE + self._signals.pending
        if tally.failed:
            raise GpttermError(
                f'{tally.failed:,} of {plural(ended, "line")} failed: the "error" of each says why'
            )
        if self._output is not None and self._output.failed:
            raise GpttermError(
                f"{plural(self._output.failed, 'line')} failed before: --retry-errors runs what "
                "failed again"
            )
        return 0


async def _warm_client(
    request: LoadRequest, keep_alive_s: float | None, stack: contextlib.AsyncExitStack
) -> Answer:
    """Connect to the warm engine; return what runs a request on it."""
    from gptterm.engine.daemon.async_client import DaemonClient

    client = await stack.enter_async_context(DaemonClient(keep_alive_s))
    info = await client.load(request)
    gone = f"the warm engine of {escaped(info.name)} has ended: start again"
    if info.warm_pid is None:  # it would load the model once more for each client
        raise GpttermError(gone)

    async def answer(request: GenerateRequest, emit: Callable[[Event], None]) -> None:
        async with contextlib.aclosing(client.generate(request)) as events:
            async for event in events:
                emit(event)
        if not client.alive:
            raise GpttermError(gone)

    return answer


def _took(seconds: float) -> str:
    return latency(seconds) if seconds < 10 else duration(seconds)
