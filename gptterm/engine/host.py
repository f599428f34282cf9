"""The engine's process: `python -m gptterm.engine.host`, started by `EngineClient`.

The main thread runs the engine. A second one reads commands, so that a cancel or a change of
the samplers is heard in the middle of a token, and so that the process ends with its client
(the socket closes) even while the engine is deep in a load that nothing can interrupt. A third
one sends what the engine thread left unsent for want of haste.
"""

import argparse
import contextlib
import ctypes
import faulthandler
import importlib
import os
import queue
import signal
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from gptterm.engine.api import (
    Engine,
    Event,
    Failed,
    FailureKind,
    LoadRequest,
    Prefilled,
    SamplingParams,
    Token,
)
from gptterm.engine.tally import Tally
from gptterm.engine.wire import (
    Ask,
    AskFailed,
    AskNextToken,
    AskTokens,
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
    NextTokenAnswer,
    Report,
    SetSampling,
    TokensAnswer,
    command_reader,
    encode,
)
from gptterm.errors import (
    GpttermError,
    ModelError,
    OutOfMemoryError,
    PromptTooLongError,
    UsageError,
)
from gptterm.terminal import one_line

Factory = Callable[[LoadRequest], Engine]

_FLUSH_S = 0.008
"""Tokens that follow each other faster than this travel together: the reader wakes at most this
often, and no token waits longer."""
_FLUSH_BYTES = 1 << 16
"""So many bytes are sent at once whatever the time, which bounds what is kept here: a reader
that does not read blocks the engine."""


class Outbox:
    """Sends reports: at once when the last sending is a while ago, otherwise together."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._unsent = bytearray()
        self._sent_at = 0.0
        self._left_unsent = threading.Event()
        threading.Thread(target=self._send_late, daemon=True).start()

    def post(self, report: Report, *, at_once: bool = False) -> None:
        """Send `report`, within `_FLUSH_S`. Blocks while the other side does not read."""
        data = encode(report)
        with self._lock:
            self._unsent += data
            due = time.monotonic() - self._sent_at >= _FLUSH_S
            if at_once or due or len(self._unsent) >= _FLUSH_BYTES:
                self._send()
            elif not self._left_unsent.is_set():
                self._left_unsent.set()

    def _send_late(self) -> None:
        while True:
            self._left_unsent.wait()
            self._left_unsent.clear()
            time.sleep(max(0.0, self._sent_at + _FLUSH_S - time.monotonic()))
            with self._lock:
                if self._unsent:
                    self._send()

    def _send(self) -> None:
        try:
            self._connection.sendall(self._unsent)
        except OSError:
            os._exit(0)  # The client is gone.
        self._unsent.clear()
        self._sent_at = time.monotonic()


class Host:
    """Runs one engine for one client."""

    def __init__(self, connection: socket.socket, factory: str) -> None:
        self._connection = connection
        self._outbox = Outbox(connection)
        self._factory_name = factory
        self._engine: Engine | None = None
        self._inbox: queue.SimpleQueue[Load | Generate | Ask | Close] = queue.SimpleQueue()
        self._deferred: deque[Load | Generate | Close] = deque()
        # Ids rise, and there is one generation at a time: to cancel one is to cancel all up to it.
        self._last_id = 0
        self._cancelled_id = 0
        self._sampling_lock = threading.Lock()
        self._sampling: tuple[int, SamplingParams] | None = None
        self._generating_id: int | None = None

    # ------------------------------------------------------------------------ reader thread

    def read(self) -> None:
        """Take commands from the socket until it closes, then end the process."""
        frames = command_reader()
        while data := self._receive():
            for command in frames.feed(data):
                self._take(command)
        os._exit(0)

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(1 << 16)
        except OSError:
            return b""

    def _take(self, command: Command) -> None:
        match command:
            case Cancel():
                self._cancelled_id = max(self._cancelled_id, command.id)
            case SetSampling():
                self._set_sampling(command)
            case Generate():
                self._last_id = command.id
                self._inbox.put(command)
            case Load() | Close():
                self._cancelled_id = self._last_id
                self._inbox.put(command)
            case _:
                self._inbox.put(command)

    def _set_sampling(self, command: SetSampling) -> None:
        # A generation that has not begun would overwrite it with its request's: kept till then.
        with self._sampling_lock:
            self._sampling = (command.id, command.sampling)
            if self._generating_id == command.id and self._engine is not None:
                self._engine.set_sampling(command.sampling)

    # ------------------------------------------------------------------------ engine thread

    def run(self) -> None:
        """Carry out commands, one after the other, until `Close`."""
        self._outbox.post(LoadProgress(stage="importing"), at_once=True)
        factory = import_factory(self._factory_name)
        while True:
            command = self._deferred.popleft() if self._deferred else self._inbox.get()
            match command:
                case Load():
                    self._load(factory, command.request)
                case Generate():
                    self._generate(command)
                case Close():
                    self._close_engine()
                    return
                case _:
                    self._answer(command)

    def _load(self, factory: Factory, request: LoadRequest) -> None:
        self._close_engine()
        self._outbox.post(LoadProgress(stage="loading"), at_once=True)
        try:
            self._engine = factory(request)
            report: Report = Loaded(info=self._engine.info)
        except Exception as error:
            traceback.print_exc()
            self._leave_if_fatal(error)
            kind, message = describe(error)
            report = LoadFailed(kind=kind, message=message)
        self._outbox.post(report, at_once=True)

    def _close_engine(self) -> None:
        engine, self._engine = self._engine, None
        if engine is None:
            return
        try:
            engine.close()
        except Exception:
            traceback.print_exc()

    def _generate(self, command: Generate) -> None:
        tally = Tally(command.request)
        try:
            self._play(command, tally)
            if not tally.over and not self._is_cancelled(command):
                raise RuntimeError("the engine stopped without finishing")
        except Exception as error:
            traceback.print_exc()
            self._leave_if_fatal(error)
            if not tally.over:
                kind, message = describe(error)
                self._post(command.id, Failed(kind=kind, message=message))
            return
        finally:
            with self._sampling_lock:
                self._generating_id = None
        if not tally.over:
            for end in tally.cancelled():
                self._post(command.id, end)

    def _play(self, command: Generate, tally: Tally) -> None:
        """Pass the engine's events on until they end or are cancelled."""
        if self._engine is None:
            raise ModelError("no model is loaded")
        with contextlib.closing(self._engine.generate(command.request)) as events:
            while not self._is_cancelled(command):
                event = next(events, None)
                if event is None:
                    return
                if self._generating_id is None:
                    self._begin_sampling(command.id, self._engine)
                tally.note(event)
                self._post(command.id, event)
                self._answer_waiting()

    def _is_cancelled(self, command: Generate) -> bool:
        return command.id <= self._cancelled_id

    def _begin_sampling(self, generation_id: int, engine: Engine) -> None:
        with self._sampling_lock:
            self._generating_id = generation_id
            if self._sampling is not None and self._sampling[0] == generation_id:
                engine.set_sampling(self._sampling[1])

    def _post(self, generation_id: int, event: Event) -> None:
        hasty = not isinstance(event, Token | Prefilled)
        self._outbox.post(EventFrame(id=generation_id, event=event), at_once=hasty)

    def _leave_if_fatal(self, error: Exception) -> None:
        """End the process if its device has failed for good: a new one gets a new context.

        torch's error for that is known by its name, since torch may not be there at all.
        """
        if type(error).__name__ == "AcceleratorError":
            self._outbox.post(Fatal(message=describe(error)[1]), at_once=True)
            _leave(1)

    def _answer_waiting(self) -> None:
        """Answer what was asked during the generation; other commands wait for its end."""
        while not self._inbox.empty():
            command = self._inbox.get()
            if isinstance(command, AskNextToken | AskTokens):
                self._answer(command)
            else:
                self._deferred.append(command)

    def _answer(self, ask: Ask) -> None:
        try:
            if self._engine is None:
                raise ModelError("no model is loaded")
            if isinstance(ask, AskTokens):
                pieces = self._engine.tokenize(ask.text)
                report: Report = TokensAnswer(call=ask.call, pieces=pieces)
            else:
                distribution = self._engine.next_token(ask.sampling, ask.limit)
                report = NextTokenAnswer(call=ask.call, distribution=distribution)
        except Exception as error:
            traceback.print_exc()
            report = AskFailed(call=ask.call, message=describe(error)[1])
        self._outbox.post(report, at_once=True)


def import_factory(name: str) -> Factory:
    """The function called `name` ("module:function"), or one that says why there is none."""
    module, _, function = name.partition(":")
    try:
        factory: Factory = getattr(importlib.import_module(module), function)
    except Exception as error:
        traceback.print_exc()
        message = f"the engine {name} cannot be started: {_first_line(error)}"

        def refuse(_request: LoadRequest) -> Engine:
            raise ModelError(message)

        return refuse
    return factory


def describe(error: Exception) -> tuple[FailureKind, str]:
    """What kind of failure an exception is, and one line about it for the user."""
    match error:
        case UsageError():
            return "usage", str(error)
        case PromptTooLongError():
            return "prompt_too_long", str(error)
        case OutOfMemoryError():
            return "out_of_memory", str(error)
        case ModelError():
            return "model", str(error)
        case GpttermError():
            return "internal", str(error)
    # torch.OutOfMemoryError by its name: torch may not be there at all.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return "out_of_memory", "not enough memory: try a smaller model or a smaller --dtype"
    return "internal", f"the engine failed: {type(error).__name__}: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    """What the error says, without the pages that torch adds to it."""
    return one_line(str(error).strip().partition("\n")[0])[:300] or "no reason given"


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when the thread that started it ends (Linux only).

    The socket does the same; this one also works while native code sits on the interpreter lock.
    """
    if sys.platform != "linux":
        return
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _leave(code: int) -> NoReturn:
    """End at once: tearing down an interpreter with native threads in it can hang."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> NoReturn:
    """Serve the client at the other end of the inherited socket."""
    parser = argparse.ArgumentParser(prog="gptterm.engine.host")
    parser.add_argument("--socket", type=int, required=True, help="an inherited descriptor")
    parser.add_argument("--parent", type=int, required=True, help="the client's process id")
    parser.add_argument("--factory", required=True, help="module:function that loads an engine")
    args = parser.parse_args()
    _die_with(args.parent)
    faulthandler.enable()
    os.set_inheritable(args.socket, False)
    host = Host(socket.socket(fileno=args.socket), args.factory)
    threading.Thread(target=host.read, daemon=True).start()
    host.run()
    _leave(0)


if __name__ == "__main__":
    main()
