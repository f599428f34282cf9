"""Worker: runs an engine for one or more clients, in the engine's process.

`run` is the engine's thread. Each client has a thread of its own that reads its commands (`serve`),
so that a cancel or new samplers are received while the engine is in native code.
"""

import importlib
import threading
import time
import traceback
from collections.abc import Callable
from typing import Literal

from gptterm.engine.api import (
    ChatPrompt,
    CoreSharingEngine,
    Engine,
    Failed,
    GenerateRequest,
    LoadRequest,
    Message,
    Prompt,
    TextPrompt,
)
from gptterm.engine.generation.event_tally import EventTally
from gptterm.engine.ipc.client_channel import ClientChannel
from gptterm.engine.ipc.errors import describe
from gptterm.engine.ipc.generations import Generations
from gptterm.engine.ipc.inspections import Inspections
from gptterm.engine.ipc.protocol import (
    Cancel,
    Close,
    Command,
    EventFrame,
    Fatal,
    Generate,
    LeaveCore,
    Load,
    Loaded,
    LoadFailed,
    LoadProgress,
    LoadStage,
    NextTokenResult,
    Query,
    QueryFailed,
    QueryInspection,
    QueryNextToken,
    QueryTokens,
    Report,
    SetSampling,
    StopInspection,
    TokensResult,
)
from gptterm.engine.ipc.scheduler import Scheduler
from gptterm.errors import GpttermError, ModelError, pass_exits
from gptterm.format import first_line

Factory = Callable[[LoadRequest], Engine]
Preparation = Literal["load", "warm-up"]

_PAUSE_S = 0.05
"""Seconds that the engine sleeps, unless woken, while clients do not read their events."""


class Worker:
    """Executes the commands of its clients.

    Args:
        factory: "module:function" that takes a `LoadRequest` and returns an `Engine`.
        leave: called with an exit code after a permanent device failure; does not return.
        rows: maximum number of sequences decoded together.
    """

    def __init__(self, factory: str, leave: Callable[[int], object], rows: int = 1) -> None:
        self.scheduler = Scheduler()
        self.generations = Generations(self.scheduler, rows, self._failure)
        self._inspections = Inspections(self._failure)
        self.loaded: Loaded | LoadFailed | None = None
        """The result of the last load; None before it."""
        self._factory_name = factory
        self._factory: Factory | None = None
        self._leave = leave
        self._rows = rows
        self._is_fixed = False
        """Whether the model was loaded by `load_fixed`."""
        self._engine: Engine | None = None
        self._stage: LoadProgress | None = None
        """Load stage sent to new clients; None once the load is over."""
        self._stage_lock = threading.Lock()
        self._stopping: str | None = None
        self._preparation: tuple[Preparation, float] | None = None

    @property
    def preparation(self) -> tuple[Preparation, float] | None:
        """Whether a model is loaded or warmed up now, and for how many seconds. Thread-safe."""
        running = self._preparation
        return None if running is None else (running[0], time.monotonic() - running[1])

    # ---------------------------------------------------------------------- clients' threads

    def serve(self, channel: ClientChannel) -> None:
        """Handle a client's commands until it disconnects."""
        channel.send_buffer.on_drained = self.scheduler.wake
        with self._stage_lock:
            self.scheduler.add_client(channel)
            if self._stage is not None:
                channel.send_buffer.post(self._stage, at_once=True)
        try:
            for command in channel.commands():
                self._handle(channel, command)
        finally:
            channel.close()
            self.scheduler.remove_client(channel)

    def _handle(self, channel: ClientChannel, command: Command) -> None:
        match command:
            case Cancel():
                self._cancel(channel, command.id)
            case SetSampling():
                self.generations.set_sampling(channel, command)
            case LeaveCore():
                engine = self._engine  # the engine's own thread may close it
                if isinstance(engine, CoreSharingEngine):
                    engine.leave_core(command.seconds)
            case Generate():
                channel.last_id = command.id
                self.scheduler.put(channel, command)
            case Load() if self._is_fixed and self.loaded is not None:
                # Answered at once, whatever the engine is doing.
                channel.send_buffer.post(self.loaded, at_once=True)
            case Close() if self._is_fixed:
                channel.hang_up()
            case Load() | Close():
                self._cancel(channel, channel.last_id)
                self.scheduler.put(channel, command)
            case _:
                self.scheduler.put(channel, command)

    def _cancel(self, channel: ClientChannel, up_to: int) -> None:
        channel.cancel(up_to)
        for command in self.scheduler.withdraw(channel, up_to):
            for end in EventTally(command.request).cancel():
                channel.send_buffer.post(EventFrame(id=command.id, event=end), at_once=True)
        self.scheduler.wake()

    def stop(self, why: str) -> None:
        """Make `run` return after the current step; unfinished generations fail with `why`."""
        self._stopping = why
        self.scheduler.stop()

    # -------------------------------------------------------------------------- engine's thread

    def import_engine(self) -> None:
        """Import the engine's code, which may take seconds. Must precede `run`."""
        self._announce("importing")
        self._factory = import_factory(self._factory_name)

    def load_fixed(self, model: LoadRequest) -> None:
        """Load a model that clients cannot replace. Must precede `run`."""
        self._preparation = "load", time.monotonic()
        loaded = self._load(model)
        self._preparation = "warm-up", time.monotonic()
        self._warm_up()
        self._preparation = None
        self.loaded, self._stage, self._is_fixed = loaded, None, True

    def refuse_load(self, message: str) -> None:
        """Tell all clients that the model cannot be loaded. Thread-safe."""
        failed = LoadFailed(kind="model", message=message)
        for channel in self.scheduler.channels:
            channel.send_buffer.post(failed, at_once=True)

    def run(self) -> None:
        """Execute commands and run generations until `Close` or `stop`."""
        generations = self.generations
        closed = False
        while not closed and not self.scheduler.stopped:
            generations.end_cancelled()
            closed = self._execute_commands()
            for channel, query in self.scheduler.pop_queries():
                self._answer(channel, query)
            generations.step()
            self._inspections.step(is_beside=generations.ready)
            generations.pause_unread()
        message = self._stopping or "the engine was closed"
        generations.end_all(message)
        self._inspections.end_all(message)
        self._close_engine()
        failed = Failed(kind="internal", message=message)
        for channel in self.scheduler.channels:
            for command in self.scheduler.withdraw(channel, channel.last_id):
                channel.send_buffer.post(EventFrame(id=command.id, event=failed), at_once=True)

    def _execute_commands(self) -> bool:
        """Execute queued commands; wait for one if there is nothing else to do.

        Returns:
            Whether the engine is to be closed.
        """
        timeout_s = None
        if self.generations.busy or self._inspections.busy:
            ready = self.generations.ready or self._inspections.ready
            timeout_s = 0.0 if ready else _PAUSE_S
        # A limited number: a stream of commands must not stall the running generations.
        for _ in range(self._rows):
            popped = self.scheduler.pop(timeout_s)
            if popped is None:
                return False
            timeout_s = 0.0
            match popped:
                case channel, Load() as load:
                    if self.loaded is None or not self._is_fixed:
                        self.loaded = self._load(load.request)
                    channel.send_buffer.post(self.loaded, at_once=True)
                case channel, Generate() as generate:
                    self.generations.begin(channel, generate)
                case channel, Close():
                    if not self._is_fixed:
                        return True
                    channel.hang_up()
                case channel, query:
                    self._answer(channel, query)
        return False

    def _announce(self, stage: LoadStage) -> None:
        with self._stage_lock:
            self._stage = LoadProgress(stage=stage)
            for channel in self.scheduler.channels:
                channel.send_buffer.post(self._stage, at_once=True)

    def _load(self, request: LoadRequest) -> Loaded | LoadFailed:
        self._close_engine()
        self._announce("loading")
        assert self._factory is not None
        try:
            self._engine = self._factory(request)
            self.generations.use(self._engine)
            return Loaded(info=self._engine.info)
        except BaseException as error:
            failed = self._failure(error, always_log=True)
            return LoadFailed(kind=failed.kind, message=failed.message)

    def _warm_up(self) -> None:
        """Generate two tokens, since the first pass of a process is many times slower."""
        engine = self._engine
        if engine is None:
            return
        prompt: Prompt = TextPrompt(text="a")
        if engine.info.has_chat_template:
            prompt = ChatPrompt(messages=(Message(role="user", text="a"),))
        try:
            for _ in engine.generate(GenerateRequest(prompt=prompt, max_tokens=2)):
                pass
        except BaseException as error:  # a client's prompt may still succeed
            self._failure(error, always_log=True)

    def _close_engine(self) -> None:
        engine, self._engine = self._engine, None
        self.generations.use(None)
        self._inspections.end_all("the model was unloaded")
        if engine is None:
            return
        try:
            engine.close()
        except BaseException as error:
            self._failure(error, always_log=True)

    def _failure(self, error: BaseException, *, always_log: bool = False) -> Failed:
        """Message to a client about the exception being handled."""
        pass_exits(error)
        if always_log or not isinstance(error, GpttermError):
            traceback.print_exc()
        self._leave_if_fatal(error)
        kind, message = describe(error)
        return Failed(kind=kind, message=message)

    def _leave_if_fatal(self, error: BaseException) -> None:
        """Exit after a permanent device failure: only a new process gets a new CUDA context.

        torch's exception for it is known by its name: torch may not be imported.
        """
        if type(error).__name__ == "AcceleratorError":
            for channel in self.scheduler.channels:
                channel.send_buffer.post(Fatal(message=describe(error)[1]), at_once=True)
            self._leave(1)

    def _answer(self, channel: ClientChannel, query: Query) -> None:
        try:
            report = self._report(channel, query)
        except BaseException as error:
            pass_exits(error)
            traceback.print_exc()
            report = QueryFailed(call=query.call, message=describe(error)[1])
        if report is not None:
            channel.send_buffer.post(report, at_once=True)

    def _report(self, channel: ClientChannel, query: Query) -> Report | None:
        """The answer to a query; None if it has none, or comes in parts."""
        if self._engine is None:
            raise ModelError("no model is loaded")
        match query:
            case QueryTokens():
                return TokensResult(call=query.call, pieces=self._engine.tokenize(query.text))
            case QueryNextToken():
                distribution = self.generations.next_token(channel, query)
                return NextTokenResult(call=query.call, distribution=distribution)
            case QueryInspection():
                self._inspections.begin(self._engine, channel, query)
            case StopInspection():
                self._inspections.stop(channel, query.call)
        return None


def import_factory(name: str) -> Factory:
    """Import a factory by its name; if that fails, return one that raises the reason."""
    module, _, function = name.partition(":")
    try:
        factory: Factory = getattr(importlib.import_module(module), function)
    except BaseException as error:
        pass_exits(error)
        traceback.print_exc()
        message = f"the engine {name} cannot be started: {first_line(error)}"

        def refuse(_request: LoadRequest) -> Engine:
            raise ModelError(message)

        return refuse
    return factory
