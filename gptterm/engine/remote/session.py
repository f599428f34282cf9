"""Session: generations and queries of one model on a server, over asyncio.

Cancelling a task, or closing the generator, closes the connection at once, in any phase.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from gptterm.engine.api import (
    Event,
    Failed,
    GenerateRequest,
    RemoteModel,
    Started,
    Token,
)
from gptterm.engine.generation.event_tally import EventTally
from gptterm.engine.remote import memory, requests
from gptterm.engine.remote.chunks import parse
from gptterm.engine.remote.errors import Describer, Problem, is_too_long, parse_body
from gptterm.engine.remote.reply import ReplyStream, ServerFailedError
from gptterm.engine.remote.servers import Access
from gptterm.errors import GpttermError, ModelError, UsageError
from gptterm.format import plural
from gptterm.json_values import as_objects
from gptterm.threads import in_daemon_thread

if TYPE_CHECKING:
    from gptterm.engine.remote.transport import Transport

Emit = Callable[[Event], None]
_MOST_ATTEMPTS = 16
"""A server refuses one field at a time."""
_AT_ONCE = 8
"""Samples asked for side by side."""
_COUNTS_TIMEOUT_S = 5.0
"""Limit on the wait for the counts, and the end of the stream, after a reply is complete."""


class ModelList(NamedTuple):
    """A server's answer to the question for its models."""

    headers: dict[str, str]
    """With lower-case names."""
    models: list[dict[str, Any]]


class _FailureError(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class Session:
    """One model on a server.

    Args:
        remote: the model.
        access: what opens the server.
        remembers: what the server refuses is kept in the cache folder, for the next start.
        retries: of a request that failed for now; None for a few, as somebody waits.
    """

    def __init__(
        self,
        remote: RemoteModel,
        access: Access,
        *,
        remembers: bool = False,
        retries: int | None = None,
    ) -> None:
        self._retries = retries
        self.remote = remote
        self.learned = memory.recall(remote) if remembers else requests.Learned()
        self._remembers = remembers
        self.describe = Describer(remote, access)
        self.last_token: Token | None = None
        """The last one of the first sample, in a generation with logprobs."""
        self.access = access
        self._transport: Transport | None = None
        self._task: asyncio.Task[None] | None = None
        """The running generation."""

    @property
    def busy(self) -> bool:
        """Whether a generation runs."""
        return self._task is not None and not self._task.done()

    @property
    def no_logprobs(self) -> str:
        """Why the server sends no log probabilities; empty as long as it may."""
        return requests.no_logprobs(self.remote, self.learned)

    def remember_refusal(self) -> None:
        """Count a refusal that `learned` has, and keep it if the session remembers."""
        self.learned.count += 1
        if self._remembers:
            memory.remember(self.remote, self.learned)

    async def open(self) -> "Transport":
        """Prepare the client, which connects by itself.

        Raises:
            ModelError: the openai package is missing, or too old.
        """
        if self._transport is None:
            # The import and the trust store take most of a second, without the event loop.
            self._transport = await in_daemon_thread(self._new_transport)
        return self._transport

    def _new_transport(self) -> "Transport":
        try:
            from gptterm.engine.remote.transport import RETRIES, Transport
        except ImportError as error:
            raise ModelError(
                f"remote models need the openai package, version 3 or later ({error}): "
                'pip install "openai>=3"'
            ) from None
        retries = RETRIES if self._retries is None else self._retries
        return Transport(self.remote, self.access, retries)

    async def close(self) -> None:
        """Close all connections."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

    # ----------------------------------------------------------------------------- models

    async def models(self) -> ModelList | None:
        """Return the server's models; None if it has no such list.

        Raises:
            ModelError: the server cannot be reached, or refuses.
        """
        transport = await self.open()
        import httpx2
        import openai

        from gptterm.engine.remote.transport import BodyTooLongError

        try:
            async with asyncio.timeout(self.access.timeout_s):
                response = await transport.models()
        except openai.APIStatusError as error:
            if error.status_code in (404, 405, 500, 501):
                # Some servers have no list, and transformers' fails without a Hub cache. An address
                # that is no API has none either.
                if parse_body(error.response.content).is_page:
                    raise ModelError(self.status_problem(error).message) from None
                return None
            raise ModelError(self.status_problem(error).message) from None
        except TimeoutError:
            raise ModelError(self.describe.silence().message) from None
        except (openai.APIConnectionError, httpx2.HTTPError) as error:
            raise ModelError(self.describe.exception(error).message) from None
        except BodyTooLongError:
            raise ModelError(self.describe.invalid().message) from None
        headers = {name.lower(): value for name, value in response.headers.items()}
        return self._model_list(headers, response.content)

    def _model_list(self, headers: dict[str, str], body: bytes) -> ModelList:
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            problem = self.describe.unexpected(headers.get("content-type", ""), body)
            raise ModelError(problem.message) from None
        models = as_objects(data.get("data") if isinstance(data, dict) else data)
        return ModelList(headers, [item for item in models if isinstance(item.get("id"), str)])

    def status_problem(self, error: Any) -> Problem:
        """Describe an `openai.APIStatusError`."""
        response = error.response
        headers = {name.lower(): value for name, value in response.headers.items()}
        return self.describe.status(response.status_code, headers, response.content)

    # ------------------------------------------------------------------------- generating

    async def generate(
        self, request: GenerateRequest, *, watch: int | None = None
    ) -> AsyncGenerator[Event, None]:
        """Yield the events of a generation; closing the generator closes its connections.

        Args:
            watch: ask for as many alternatives a token, for `last_token`, even if the request does
                not; a server that sends none gets no notice.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        run = _Run(self, request, watch, queue.put_nowait)
        tally = EventTally(request)
        task = self._task = asyncio.create_task(run.run())
        task.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (event := await queue.get()) is not None:
                tally.add(event)
                yield event
            if task.cancelled():
                for end in tally.cancel():
                    yield end
            else:
                task.result()  # raises what it raised
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def cancel(self) -> None:
        """Cancel the running generation, if any: its iterator still yields its last events."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])


class _Run:
    """One generation: a call for each sample."""

    def __init__(
        self, session: Session, request: GenerateRequest, watch: int | None, emit: Emit
    ) -> None:
        self._session = session
        self._request = request
        self._asked = request
        if watch is not None and request.logprobs is None:
            self._asked = msgspec.structs.replace(request, logprobs=watch)
        self._emit = emit
        self._started = False
        self._dropped = 0

    async def run(self) -> None:
        self._session.last_token = None
        slots = asyncio.Semaphore(_AT_ONCE)
        try:
            await self._session.open()
        except GpttermError as error:
            self._emit(Failed(kind=error.kind, message=str(error)))
            return

        async def one(sample: int) -> None:
            async with slots:
                await self._sample(sample)

        try:
            async with asyncio.TaskGroup() as group:
                for sample in range(self._request.samples):
                    group.create_task(one(sample))
        except* _FailureError as failures:
            first: BaseException = failures
            while isinstance(first, BaseExceptionGroup):
                first = first.exceptions[0]
            assert isinstance(first, _FailureError)
            problem = first.problem
            self._emit(Failed(kind=problem.kind, message=problem.message))

    async def _sample(self, sample: int) -> None:
        """Ask for one sample, without what the server refuses."""
        session, remote = self._session, self._session.remote
        transport = await session.open()
        import openai

        for _ in range(_MOST_ATTEMPTS):
            known = session.learned.count
            try:
                call = requests.build(self._asked, remote, session.learned, sample)
            except UsageError as error:
                raise _FailureError(Problem("usage", str(error))) from None
            reply = ReplyStream(
                sample, call.stop, self._asked.max_tokens, strip=call.strip,
                begun=time.perf_counter(),
            )  # fmt: skip
            attempt = _Attempt(session, transport, call, reply, self._emit_first(call))
            try:
                await attempt.run()
            except openai.APIStatusError as error:
                # A call beside this one may have been refused the same meanwhile.
                if known == session.learned.count and not self._learn(error, call):
                    raise _FailureError(session.status_problem(error)) from None
                continue
            return
        raise _FailureError(Problem("internal", f"{remote.server} refuses one field after another"))

    def _learn(self, error: Any, call: requests.Call) -> bool:
        """Change the next call by a refusal; False if that does not help."""
        refusal = parse_body(error.response.content)
        learned = self._session.learned
        status = error.response.status_code
        if status in (400, 413, 422) and is_too_long(refusal):
            if self._request.overflow == "error":
                return False
            self._asked, dropped = requests.without_oldest(self._asked)
            self._dropped += dropped
            return dropped > 0
        reason = self._session.access.hide(refusal.message)
        if not requests.learn_refusal(status, reason, refusal.parameter, call, learned):
            return False
        self._session.remember_refusal()
        return True

    def _emit_first(self, call: requests.Call) -> Emit:
        """Return an `emit` that puts `Started` before the first event of all."""

        def emit(event: Event) -> None:
            if not self._started:
                self._started = True
                self._emit(self._start(call, event))
            if isinstance(event, Token) and event.sample == 0:
                self._session.last_token = event
            self._emit(event)

        return emit

    def _start(self, call: requests.Call, first: Event) -> Started:
        session, notices = self._session, list(call.notices)
        lacks = isinstance(first, Token) and first.logprob is None and not first.alternatives
        if lacks and call.wants_logprobs:
            session.learned.no_logprobs = True
        if self._request.logprobs is not None and (lacks or not call.wants_logprobs):
            notices.append(f"no log probabilities: {session.no_logprobs}")
        if session.learned.no_chat and call.path == requests.TEXT:
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
            context_length=session.remote.context_length,
            seed=call.body.get("seed"),
            dropped_messages=self._dropped,
            notices=tuple(notices),
        )


class _Attempt:
    """One call, from the request to the end of its stream."""

    def __init__(
        self,
        session: Session,
        transport: "Transport",
        call: requests.Call,
        reply: ReplyStream,
        emit: Emit,
    ) -> None:
        self._session = session
        self._transport = transport
        self._call = call
        self._reply = reply
        self._emit = emit

    async def run(self) -> None:
        """Emit the events up to the sample's end.

        Raises:
            _FailureError: the server failed.
            openai.APIStatusError: it refused the request.
        """
        import httpx2
        import openai

        from gptterm.engine.remote.transport import BodyTooLongError

        describe, reply = self._session.describe, self._reply
        done = False
        try:
            done = await self._receive()
        except ServerFailedError as error:
            raise _FailureError(describe.in_stream(str(error))) from None
        except TimeoutError:
            if not reply.complete:
                raise _FailureError(describe.silence()) from None
        except (ValueError, RecursionError, httpx2.SSEError, BodyTooLongError):
            raise _FailureError(describe.invalid()) from None
        except (openai.APIConnectionError, httpx2.TimeoutException) as error:
            if not reply.complete:
                raise _FailureError(describe.exception(error)) from None
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            if not reply.complete:
                begun = reply.tokens > 0 or isinstance(error, httpx2.RemoteProtocolError)
                problem = describe.cut() if begun else describe.exception(error)
                raise _FailureError(problem) from None
        if not (reply.complete or done):
            raise _FailureError(describe.cut())
        self._emit(reply.finish(time.perf_counter()))

    async def _receive(self) -> bool:
        """Receive the stream; return whether it ended with `[DONE]`."""
        loop = asyncio.get_running_loop()
        limit = self._session.access.timeout_s
        async with asyncio.timeout(limit) as deadline:
            async with self._transport.post(self._call.path, self._call.body) as response:
                kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
                if kind != "text/event-stream":
                    await self._receive_whole(response, kind)
                    return False
                from gptterm.engine.remote.transport import events

                async for data in events(response):
                    if data.startswith("[DONE]"):
                        return True
                    self._push(json.loads(data) if data.strip() else {})
                    if self._reply.overlong:
                        break
                    patience = _COUNTS_TIMEOUT_S if self._reply.complete else limit
                    deadline.reschedule(loop.time() + patience)
        return False

    async def _receive_whole(self, response: Any, kind: str) -> None:
        """Receive the reply of a server that does not stream."""
        from gptterm.engine.remote.transport import MOST_BODY_BYTES, read_bounded

        body = await read_bounded(response, MOST_BODY_BYTES)
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            data = None
        if kind != "application/json" or not isinstance(data, dict):
            problem = self._session.describe.unexpected(
                kind, body, ", not with a stream of a reply"
            )
            raise _FailureError(problem)
        self._push(data)

    def _push(self, chunk: object) -> None:
        for event in self._reply.push(parse(chunk), time.perf_counter()):
            self._emit(event)
