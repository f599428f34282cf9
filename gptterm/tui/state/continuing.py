"""The generation that continues a document, in one version or several at once."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence

import msgspec

from gptterm.conversation.nodes import Generation
from gptterm.document.tree import Document
from gptterm.engine.api import (
    Event,
    Failed,
    Finished,
    FinishReason,
    GenerateRequest,
    Reasoning,
    Started,
    Token,
)
from gptterm.errors import GpttermError
from gptterm.terminal import one_line
from gptterm.tui.state.controller import Controller
from gptterm.tui.state.events import NoticeKind


class Continuing:
    """Runs generations, one at a time, and writes what they say into a document.

    Args:
        document: returns the document.
        on_change: called when its text or versions have changed.
        notify: called with a line for the user.
    """

    def __init__(
        self,
        controller: Controller,
        document: Callable[[], Document],
        on_change: Callable[[], None],
        notify: Callable[[NoticeKind, str], None],
    ) -> None:
        self._controller = controller
        self._document = document
        self._on_change = on_change
        self._notify = notify
        self.versions: tuple[str, ...] = ()
        """Those that are being written."""
        self.started: Started | None = None
        """The beginning of the last generation."""
        self.finished: Finished | None = None
        """The end of its last continuation that has ended."""
        self.tokens = 0
        """Tokens of its longest continuation."""
        self._counts: dict[str, int] = {}
        """Tokens of each version of the last generation."""
        self._task: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a generation has not ended yet."""
        return bool(self.versions) or (self._task is not None and not self._task.done())

    @property
    def context(self) -> tuple[int, int] | None:
        """Tokens of the prompt and the longest continuation, and the limit; None if not known."""
        if self.started is None or not self.started.context_length:
            return None
        return self.started.prompt_tokens + self.tokens, self.started.context_length

    def begin(
        self, versions: tuple[str, ...], request: GenerateRequest, before: str | None
    ) -> None:
        """Begin a generation that writes versions, a sample each.

        Args:
            before: the version that comes into view again if none of them gets a text.
        """
        self.versions = versions
        self.started, self.finished, self.tokens = None, None, 0
        self._counts = dict.fromkeys(versions, 0)
        self._task = asyncio.create_task(self._generate(versions, request, before))

    def stop(self) -> bool:
        """End the versions with the text so far; False if none is written."""
        if not self.versions:
            return False
        for version in self.versions:
            self._document().finish(version, "cancelled")
        self.versions = ()
        if self._task is not None:
            self._task.cancel()
        self._on_change()
        return True

    async def wait(self) -> None:
        """Wait for the end of the generation."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _generate(
        self, versions: tuple[str, ...], request: GenerateRequest, before: str | None
    ) -> None:
        events = self._controller.engine.client.generate(request)
        error = ""
        try:
            async with contextlib.aclosing(events):
                async for event in events:
                    self._apply(versions, event)
        except (GpttermError, ValueError) as problem:
            error = str(problem)
            self._notify("error", error)
        finally:
            for version in versions:
                reason: FinishReason = "error" if error else "cancelled"
                self._document().finish(version, reason, error=error)
            self._discard_empty(versions, before)
            if self.versions == versions:
                self.versions = ()
            self._controller.loader.restart_if_dead()
            self._on_change()

    def _discard_empty(self, versions: tuple[str, ...], before: str | None) -> None:
        """Remove the versions that got no text, and tell why."""
        document = self._document()
        shown, parent = document.current, document.edit(versions[0]).parent
        runs = {version: document.edit(version).run for version in versions}
        empty = [version for version in versions if document.discard(version)]
        if shown in empty:
            left = [version for version in versions if version not in empty]
            there = (*left, *(each for each in document.children(parent) if each == before))
            document.go(there[0] if there else parent)
        ended = [run for version in empty if (run := runs[version]) is not None]
        if line := why_empty(ended, len(versions), can_ban=not self._controller.engine.is_remote):
            self._notify("info", line)

    def _count(self, version: str, event: Event) -> None:
        match event:
            case Token():
                self._counts[version] += 1
                self.tokens = max(self.tokens, self._counts[version])
            case Finished():
                self.finished = event

    def _apply(self, versions: tuple[str, ...], event: Event) -> None:
        document = self._document()
        match event:
            case Started():
                self.started = event
                for notice in event.notices:
                    self._notify("warning", notice)
                for number, version in enumerate(versions):
                    seed = None if event.seed is None else event.seed + number
                    document.apply_event(version, msgspec.structs.replace(event, seed=seed))
            case Token() | Finished() | Reasoning():
                version = versions[event.sample]
                self._count(version, event)
                document.apply_event(version, msgspec.structs.replace(event, sample=0))
            case Failed():
                for version in versions:
                    document.apply_event(version, event)
                self._notify("error", event.message)
        self._on_change()


def why_empty(runs: Sequence[Generation], of: int, *, can_ban: bool) -> str:
    """Return a line on continuations that ended without a text; empty where it is told elsewhere.

    Args:
        runs: those of them.
        of: all that were begun with them.
        can_ban: the token that ends a text can be banned.
    """
    ended = [run for run in runs if run.reason not in ("cancelled", "error", None)]
    if not ended:
        return ""
    share = "" if len(ended) == of else f"{len(ended)} of {of} continuations are empty: "
    match ended[0].reason:
        case "eos":
            hint = "write on, or ban its end (Ctrl+L, then b)" if can_ban else "write on"
            return f"{share}the model ends the text here" + ("" if share else f": {hint}")
        case "stop":
            return f"{share}{one_line(repr(ended[0].stop))} comes at once, and ends the text"
        case _:
            return f"{share}the model wrote no text here"
