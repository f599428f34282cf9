"""Runs one engine for one client or several: the work of the engine's process.

`run` is the thread that the engine lives in. Each client has a thread that reads its commands
(`serve`), so that a cancel or a change of the samplers is heard in the middle of a token, even
while the engine is deep in something that nothing can interrupt.
"""

import contextlib
import importlib
import threading
import time
import traceback
from collections.abc import Callable

from gptterm.engine.api import (
    ChatPrompt,
    Engine,
    Event,
    Failed,
    GenerateRequest,
    LoadRequest,
    Message,
    Prefilled,
    Prompt,
    TextPrompt,
    Token,
)
from gptterm.engine.generation.event_tally import EventTally
from gptterm.engine.ipc.client_channel import ClientChannel
from gptterm.engine.ipc.errors import describe
from gptterm.engine.ipc.protocol import (
    Cancel,
    Close,
    Command,
    EventFrame,
    Fatal,
    Generate,
    Load,
    Loaded,
    LoadFailed,
    LoadProgress,
    LoadStage,
    NextTokenResult,
    Query,
    QueryFailed,
    QueryTokens,
    Report,
    SetSampling,
    TokensResult,
)
from gptterm.engine.ipc.scheduler import Scheduler
from gptterm.errors import GpttermError, ModelError
from gptterm.format import first_line

Factory = Callable[[LoadRequest], Engine]

_SLOW_READER_S = 5.0
"""How long a client that does not read may keep the engine from others."""


class Worker:
    """Carries out the commands of its clients, one generation at a time.

    Args:
        factory: "module:function" that takes a `LoadRequest` and returns an `Engine`.
        leave: called with an exit code when the device has failed for good; does not return.
    """

    def __init__(self, factory: str, leave: Callable[[int], object]) -> None:
        self.scheduler = Scheduler()
        self.loaded: Loaded | LoadFailed | None = None
        """What came of the last load; None before it."""
        self.generations = 0
        """How many have begun."""
        self._factory_name = factory
        self._factory: Factory | None = None
        self._leave = leave
        self._kept = False
        """The model is there for good: clients get no other."""
        self._engine: Engine | None = None
        self._stage: LoadProgress | None = None
        """What newcomers are told; None once there is nothing to wait for."""
        self._stage_lock = threading.Lock()
        self._stopping: str | None = None
        self._running: tuple[ClientChannel, Generate] | None = None
        self._last: ClientChannel | None = None
        """Whose generation the engine has seen last."""
        self._beat = 0.0
        """When the running generation last gave a sign of life."""
        self._sampling_lock = threading.Lock()
        self._begun: tuple[ClientChannel, int] | None = None
        """The generation that the engine's samplers belong to."""

    # ---------------------------------------------------------------------- clients' threads

    def serve(self, channel: ClientChannel) -> None:
        """Take a client's commands until it hangs up."""
        with self._stage_lock:
            self.scheduler.add_client(channel)
            if self._stage is not None:
                channel.send_buffer.post(self._stage, at_once=True)
        try:
            for command in channel.commands():
                self._handle(channel, command)
        finally:
            self.scheduler.remove_client(channel)
            channel.close()

    def _handle(self, channel: ClientChannel, command: Command) -> None:
        match command:
            case Cancel():
                self._cancel(channel, command.id)
            case SetSampling():
                self._set_sampling(channel, command)
            case Generate():
                channel.last_id = command.id
                self.scheduler.put(channel, command)
            case Load() if self._kept and self.loaded is not None:
                # It need not wait for what the engine is at.
                channel.send_buffer.post(self.loaded, at_once=True)
            case Close() if self._kept:
                channel.hang_up()
            case Load() | Close():
                self._cancel(channel, channel.last_id)
                self.scheduler.put(channel, command)
            case _:
                self.scheduler.put(channel, command)

    def _cancel(self, channel: ClientChannel, up_to: int) -> None:
        channel.cancel(up_to)
        for command in self.scheduler.withdraw(channel, up_to):
            self._end(channel, command.id, EventTally(command.request))

    def _set_sampling(self, channel: ClientChannel, command: SetSampling) -> None:
        # A generation that has not begun would overwrite it with its request's: kept till then.
        with self._sampling_lock:
            channel.sampling = (command.id, command.sampling)
            if self._begun == (channel, command.id) and self._engine is not None:
                self._engine.set_sampling(command.sampling)

    def stop(self, why: str) -> None:
        """Have `run` return soon; generations that have not ended by then fail with `why`."""
        self._stopping = why
        self.scheduler.stop()

    @property
    def busy(self) -> bool:
        """Whether a generation runs."""
        return self._running is not None

    def stuck(self, cancel_limit_s: float, stall_limit_s: float) -> bool:
        """Whether the running generation ignores its cancel, or gives no sign of life."""
        running = self._running
        if running is None:
            return False
        now = time.monotonic()
        if self._is_cancelled(*running):
            return now - max(self._beat, running[0].cancelled_at) > cancel_limit_s
        return now - self._beat > stall_limit_s

    # -------------------------------------------------------------------------- engine's thread

    def prepare(self) -> None:
        """Import the engine's code, which may take seconds. `run` comes after it."""
        self._announce("importing")
        self._factory = import_factory(self._factory_name)

    def keep(self, model: LoadRequest) -> None:
        """Load a model for good, before `run`: clients that ask for one get this one."""
        loaded = self._load(model)
        self._warm_up()
        self.loaded, self._stage, self._kept = loaded, None, True

    def run(self) -> None:
        """Carry out commands, one after the other, until `Close` or `stop`."""
        while (queued := self.scheduler.next_command()) is not None:
            channel, command = queued
            match command:
                case Load():
                    if self.loaded is None or not self._kept:
                        self.loaded = self._load(command.request)
                    channel.send_buffer.post(self.loaded, at_once=True)
                case Generate():
                    self._generate(channel, command)
                case Close():
                    if not self._kept:
                        break
                    channel.hang_up()
                case _:
                    self._answer(channel, command)
        self._close_engine()
        for channel in self.scheduler.channels:
            for command in self.scheduler.withdraw(channel, channel.last_id):
                self._fail(channel, command.id)

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
            return Loaded(info=self._engine.info)
        except Exception as error:
            traceback.print_exc()
            self._leave_if_fatal(error)
            kind, message = describe(error)
            return LoadFailed(kind=kind, message=message)

    def _warm_up(self) -> None:
        """Make two tokens of nothing: what a process does first takes many times as long."""
        engine = self._engine
        if engine is None:
            return
        prompt: Prompt = TextPrompt(text="a")
        if engine.info.has_chat_template:
            prompt = ChatPrompt(messages=(Message(role="user", text="a"),))
        try:
            for _ in engine.generate(GenerateRequest(prompt=prompt, max_tokens=2)):
                pass
        except Exception as error:
            traceback.print_exc()  # it may yet go well with a prompt
            self._leave_if_fatal(error)

    def _close_engine(self) -> None:
        engine, self._engine = self._engine, None
        if engine is None:
            return
        try:
            engine.close()
        except Exception:
            traceback.print_exc()

    def _generate(self, channel: ClientChannel, command: Generate) -> None:
        tally = EventTally(command.request)
        self._beat = time.monotonic()
        self._running = (channel, command)
        self.generations += 1
        try:
            self._play(channel, command, tally)
            if not tally.done and not self._is_cancelled(channel, command):
                raise RuntimeError("the engine stopped without finishing")
        except Exception as error:
            if not isinstance(error, GpttermError):
                traceback.print_exc()
            self._leave_if_fatal(error)
            if not tally.done:
                kind, message = describe(error)
                self._post(channel, command.id, Failed(kind=kind, message=message))
            return
        finally:
            self._running = None
            with self._sampling_lock:
                self._begun = None
        if not tally.done:
            self._end(channel, command.id, tally)

    def _play(self, channel: ClientChannel, command: Generate, tally: EventTally) -> None:
        """Pass the engine's events on until they end or are cancelled."""
        if self._engine is None:
            raise ModelError("no model is loaded")
        self._last = channel
        with contextlib.closing(self._engine.generate(command.request)) as events:
            while not self._is_cancelled(channel, command):
                event = next(events, None)
                if event is None:
                    return
                self._beat = time.monotonic()
                if self._begun is None:
                    self._begin_sampling(channel, command.id, self._engine)
                tally.add(event)
                self._post(channel, command.id, event)
                self._wait_for_reader(channel, command)
                for asker, ask in self.scheduler.pop_queries():
                    self._answer(asker, ask)

    def _is_cancelled(self, channel: ClientChannel, command: Generate) -> bool:
        return command.id <= channel.cancelled_id or self._stopping is not None

    def _begin_sampling(self, channel: ClientChannel, generation_id: int, engine: Engine) -> None:
        with self._sampling_lock:
            self._begun = (channel, generation_id)
            if channel.sampling is not None and channel.sampling[0] == generation_id:
                engine.set_sampling(channel.sampling[1])

    def _post(self, channel: ClientChannel, generation_id: int, event: Event) -> None:
        hasty = not isinstance(event, Token | Prefilled)
        channel.send_buffer.post(EventFrame(id=generation_id, event=event), at_once=hasty)

    def _wait_for_reader(self, channel: ClientChannel, command: Generate) -> None:
        """Make no more than the client reads, unless it keeps the engine from others."""
        since, unsent = time.monotonic(), channel.send_buffer.unsent

        def give_up() -> bool:
            nonlocal since, unsent
            if channel.send_buffer.unsent < unsent or not self.scheduler.others_wait(channel):
                since, unsent = time.monotonic(), channel.send_buffer.unsent
            self._beat = time.monotonic()
            late = self._beat - since > _SLOW_READER_S
            return late or self._is_cancelled(channel, command)

        has_room = channel.send_buffer.make_room(give_up)
        if not has_room and not self._is_cancelled(channel, command):
            raise GpttermError("what was generated was not read while others waited")

    def _end(self, channel: ClientChannel, generation_id: int, tally: EventTally) -> None:
        """Give the samples of a cancelled generation their ends."""
        if self._stopping is not None:
            self._fail(channel, generation_id)
            return
        for end in tally.cancel():
            self._post(channel, generation_id, end)

    def _fail(self, channel: ClientChannel, generation_id: int) -> None:
        failed = Failed(kind="internal", message=self._stopping or "the engine was closed")
        self._post(channel, generation_id, failed)

    def _leave_if_fatal(self, error: Exception) -> None:
        """End the process if its device has failed for good: a new one gets a new context.

        torch's error for that is known by its name, since torch may not be there at all.
        """
        if type(error).__name__ == "AcceleratorError":
            for channel in self.scheduler.channels:
                channel.send_buffer.post(Fatal(message=describe(error)[1]), at_once=True)
            self._leave(1)

    def _answer(self, channel: ClientChannel, ask: Query) -> None:
        try:
            report = self._answer_to(channel, ask)
        except Exception as error:
            traceback.print_exc()
            report = QueryFailed(call=ask.call, message=describe(error)[1])
        channel.send_buffer.post(report, at_once=True)

    def _answer_to(self, channel: ClientChannel, ask: Query) -> Report:
        if self._engine is None:
            raise ModelError("no model is loaded")
        if isinstance(ask, QueryTokens):
            return TokensResult(call=ask.call, pieces=self._engine.tokenize(ask.text))
        # After another client's generation the row would tell about that one's text.
        distribution = None
        if self._last is channel:
            distribution = self._engine.next_token(ask.sampling, ask.limit)
        return NextTokenResult(call=ask.call, distribution=distribution)


def import_factory(name: str) -> Factory:
    """The function called `name` ("module:function"), or one that says why there is none."""
    module, _, function = name.partition(":")
    try:
        factory: Factory = getattr(importlib.import_module(module), function)
    except Exception as error:
        traceback.print_exc()
        message = f"the engine {name} cannot be started: {first_line(error)}"

        def refuse(_request: LoadRequest) -> Engine:
            raise ModelError(message)

        return refuse
    return factory
