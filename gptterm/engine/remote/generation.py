"""Generation: the calls of one request, from what the server refuses to the end of its stream."""

import asyncio
import json
import time
from collections.abc import Callable

import msgspec

from gptterm.engine.api import Event, Failed, GenerateRequest, Started, Token
from gptterm.engine.remote import requests
from gptterm.engine.remote.chunks import decode, parse
from gptterm.engine.remote.endpoint import Endpoint
from gptterm.engine.remote.errors import Problem, is_too_long, parse_body
from gptterm.engine.remote.exchange import (
    MOST_BODY_BYTES,
    BodyTooLongError,
    StatusError,
    Stream,
    Transport,
    TransportError,
    read_bounded,
    read_rest,
)
from gptterm.engine.remote.reply import ReplyStream, ServerFailedError
from gptterm.engine.remote.server_sent_events import EventParser
from gptterm.errors import GpttermError, UsageError
from gptterm.format import plural

Emit = Callable[[Event], None]
_MOST_ATTEMPTS = 16
"""A server refuses one field at a time."""
_AT_ONCE = 8
_COUNTS_TIMEOUT_S = 5.0
"""Limit on the wait for the counts, and the end of the stream, after a reply is complete."""


class _FailureError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Generation:
    """One generation: a call for each sample.

    Args:
        emit: called with each event.
        watch: ask for as many alternatives a token, for the endpoint's `last_token`, even if the
            request does not; a server that sends none gets no notice.
        at_once: samples asked for side by side.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        request: GenerateRequest,
        emit: Emit,
        *,
        watch: int | None = None,
        at_once: int = _AT_ONCE,
    ) -> None:
        self._at_once = at_once
        self._endpoint = endpoint
        self._request = request
        self._asked = request
        if watch is not None and request.logprobs is None:
            self._asked = msgspec.structs.replace(request, logprobs=watch)
        self._emit = emit
        self._started = False
        self._dropped = 0

    async def run(self) -> None:
        """Emit all events. Cancelling it closes the connections."""
        self._endpoint.last_token = None
        try:
            transport = await self._endpoint.open()
            await self._samples(transport)
        except GpttermError as error:
            self._emit(Failed(kind=error.kind, message=str(error)))
        except _FailureError as failure:
            self._emit(Failed(kind=failure.problem.kind, message=failure.problem.message))

    async def _samples(self, transport: Transport) -> None:
        """Ask for all samples; raise the first failure."""
        if self._request.samples == 1:
            await self._sample(transport, 0)
            return
        slots = asyncio.Semaphore(self._at_once)

        async def one(sample: int) -> None:
            async with slots:
                await self._sample(transport, sample)

        try:
            async with asyncio.TaskGroup() as group:
                for sample in range(self._request.samples):
                    group.create_task(one(sample))
        except BaseExceptionGroup as failures:
            first: BaseException = failures
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            raise first from None

    async def _sample(self, transport: Transport, sample: int) -> None:
        """Ask for one sample, without what the server refuses."""
        endpoint, remote = self._endpoint, self._endpoint.remote
        for _ in range(_MOST_ATTEMPTS):
            known = endpoint.learned.count
            try:
                call = requests.build(self._asked, remote, endpoint.learned, sample)
            except UsageError as error:
                raise _FailureError(Problem("usage", str(error))) from None
            reply = ReplyStream(
                sample, call.stop, self._asked.max_tokens, strip=call.strip,
                begun=time.perf_counter(), until=self._asked.until,
            )  # fmt: skip
            attempt = _Attempt(endpoint, transport, call, reply, self._emit_first(call))
            try:
                await attempt.run()
            except UsageError as error:
                raise _FailureError(Problem("usage", str(error))) from None
            except StatusError as error:
                # A call beside this one may have been refused the same meanwhile.
                if known == endpoint.learned.count and not self._learn(error, call):
                    problem = endpoint.describe.status(error.status, error.headers, error.body)
                    raise _FailureError(problem) from None
                continue
            return
        raise _FailureError(Problem("internal", f"{remote.server} refuses one field after another"))

    def _learn(self, error: StatusError, call: requests.Call) -> bool:
        """Change the next call by a refusal; False if that does not help."""
        refusal = parse_body(error.body)
        learned = self._endpoint.learned
        status = error.status
        if status in (400, 413, 422) and is_too_long(refusal):
            if self._request.overflow == "error":
                return False
            self._asked, dropped = requests.without_oldest(self._asked)
            self._dropped += dropped
            return dropped > 0
        reason = self._endpoint.access.hide(refusal.message)
        if not requests.learn_refusal(status, reason, refusal.parameter, call, learned):
            return False
        self._endpoint.remember_refusal()
        return True

    def _emit_first(self, call: requests.Call) -> Emit:
        """Return an `emit` that puts `Started` before the first event of all."""

        def emit(event: Event) -> None:
            if not self._started:
                self._started = True
                self._emit(self._start(call, event))
            if isinstance(event, Token) and event.sample == 0:
                self._endpoint.last_token = event
            self._emit(event)

        return emit

    def _start(self, call: requests.Call, first: Event) -> Started:
        endpoint, notices = self._endpoint, list(call.notices)
        lacks = isinstance(first, Token) and first.logprob is None and not first.alternatives
        if isinstance(first, Token) and call.wants_logprobs:
            endpoint.learned.no_logprobs = lacks
        if self._request.logprobs is not None and (lacks or not call.wants_logprobs):
            notices.append(f"no log probabilities: {endpoint.no_logprobs}")
        if endpoint.learned.no_chat and call.path == requests.TEXT:
            notices.append("the model has no chat: it continues a transcript")
        if self._dropped:
            notices.append(
                f"the chat is too long for the context: the oldest "
                f"{plural(self._dropped, 'message')} left out"
            )
        return Started(
            prompt_tokens=0,
            reused_tokens=0,
            dropped_tokens=0,
            context_length=endpoint.remote.context_length,
            seed=call.body.get("seed"),
            dropped_messages=self._dropped,
            notices=tuple(notices),
        )


class _Attempt:
    """One call, from the request to the end of its stream."""

    def __init__(
        self,
        endpoint: Endpoint,
        transport: Transport,
        call: requests.Call,
        reply: ReplyStream,
        emit: Emit,
    ) -> None:
        self._endpoint = endpoint
        self._transport = transport
        self._call = call
        self._reply = reply
        self._emit = emit

    async def run(self) -> None:
        """Emit the events up to the sample's end.

        Raises:
            _FailureError: the server failed.
            StatusError: it refused the request.
        """
        describe, reply = self._endpoint.describe, self._reply
        done = False
        try:
            done = await self._receive()
        except ServerFailedError as error:
            raise _FailureError(describe.in_stream(str(error))) from None
        except TimeoutError:
            if not reply.complete:
                raise _FailureError(describe.silence()) from None
        except (ValueError, RecursionError, BodyTooLongError):
            raise _FailureError(describe.invalid()) from None
        except TransportError as error:
            if not reply.complete:
                begun = reply.tokens > 0 or error.cut
                problem = describe.cut() if begun else describe.exception(error)
                raise _FailureError(problem) from None
        if not (reply.complete or done):
            raise _FailureError(describe.cut())
        self._emit(reply.finish(time.perf_counter()))

    async def _receive(self) -> bool:
        """Receive the stream; return whether it ended with `[DONE]`."""
        loop = asyncio.get_running_loop()
        limit = self._endpoint.access.timeout_s
        async with asyncio.timeout(limit) as deadline:
            async with self._transport.post(self._call.path, self._call.body) as stream:
                kind = stream.headers.get("content-type", "").partition(";")[0].strip().lower()
                if kind != "text/event-stream":
                    await self._receive_whole(stream, kind)
                    return False
                parser = EventParser()
                while part := await stream.read():
                    found = parser.push(part)
                    for data in found:
                        if data.startswith("[DONE]"):
                            await read_rest(stream)
                            return True
                        self._push(decode(data))
                    if self._reply.overlong:
                        break
                    if found:  # a server that trickles parts of one event says nothing
                        patience = _COUNTS_TIMEOUT_S if self._reply.complete else limit
                        deadline.reschedule(loop.time() + patience)
        return False

    async def _receive_whole(self, stream: Stream, kind: str) -> None:
        """Receive the reply of a server that does not stream."""
        body = await read_bounded(stream, MOST_BODY_BYTES)
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            data = None
        if kind != "application/json" or not isinstance(data, dict):
            problem = self._endpoint.describe.unexpected(
                kind, body, ", not with a stream of a reply"
            )
            raise _FailureError(problem)
        self._push(data)

    def _push(self, chunk: object) -> None:
        for event in self._reply.push(parse(chunk), time.perf_counter()):
            self._emit(event)
