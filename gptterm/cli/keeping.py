"""Keeps what one prompt and its samples say, as a chat of the history that may go on."""

from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from gptterm.cli.options import RunOptions
from gptterm.cli.output import Writer
from gptterm.cli.streams import Streams
from gptterm.config import Settings
from gptterm.conversation.nodes import Generation
from gptterm.conversation.tree import Conversation
from gptterm.engine.api import (
    Event,
    Failed,
    Finished,
    ModelInfo,
    Prompt,
    Started,
    TextPrompt,
    Token,
)

if TYPE_CHECKING:
    from gptterm.store import History, Recorder


class Keeping:
    """The chat of a single prompt: a new one, or one that `--continue` goes on with.

    A history that cannot be written is no reason to fail; one that cannot be read is, where the
    prompt is to continue it.

    Raises:
        GpttermError: there is no such chat, or it cannot be read.
    """

    def __init__(self, options: RunOptions, streams: Streams) -> None:
        self._streams = streams
        self._history: History | None = None
        self._recorder: Recorder | None = None
        self._question = ""
        self._replies: list[str] = []
        self._error = ""
        self.continued = options.continue_last or options.conversation is not None
        self.chat = Conversation()
        if self.continued or options.save:
            self._open(options)

    def _open(self, options: RunOptions) -> None:
        from gptterm.cli.history import LAST, find_chat
        from gptterm.config.paths import history_file
        from gptterm.store import History, HistoryError

        try:
            self._history = History.open(history_file(), self._tell)
            if self.continued:
                given = LAST if options.continue_last else options.conversation or ""
                self.chat = self._history.load(find_chat(self._history, given))
            if options.save:
                self._recorder = self._history.record(self.chat)
        except HistoryError as error:
            if self.continued:
                raise
            self._not_kept(str(error))

    def _tell(self, notice: str) -> None:
        # A failure to write may still pass; if not, it is said at the end.
        if self._history is None or not self._history.trouble:
            self._streams.note(notice)

    def _not_kept(self, reason: str) -> None:
        self._streams.note(f"this is not kept: {reason} (--no-save does not try)")

    @property
    def model(self) -> str:
        """The model that wrote last in the chat; empty for none."""
        reply = self.chat.last_reply()
        return "" if reply is None else self.chat.node(reply).model

    # ------------------------------------------------------------------------------- a turn

    def ask(self, text: str) -> None:
        """Add the prompt; it is on the disk when this returns, if that can be."""
        self._question = self.chat.add_user(text)
        if self._recorder is not None:
            self._recorder.commit()

    def begin(self, info: ModelInfo, settings: Settings, samples: int) -> None:
        """Begin a reply for each sample, one beside the other."""
        seeds = [None if settings.seed is None else settings.seed + i for i in range(samples)]
        runs = [
            Generation.planned(
                info, settings.sampling,
                seed=seed, max_tokens=settings.max_tokens, stop=settings.stop,
            )
            for seed in seeds
        ]  # fmt: skip
        self._replies = [self.chat.begin_reply(self._question, run) for run in runs]
        self.chat.select(self._replies[0])

    def prompt(self, info: ModelInfo, settings: Settings, chat: bool) -> Prompt:
        """All that was said before and the prompt.

        A model that continues gets the texts as they were written, each prompt after the first
        on a line of its own.
        """
        if chat:
            return self.chat.prompt(self._replies[0], info, settings.transcript)
        text = ""
        for node in map(self.chat.node, self.chat.lineage(self._question)):
            text += f"\n{node.text}" if text and node.role == "user" else node.text
        return TextPrompt(text=text)

    def take(self, event: Event) -> None:
        """Keep what an event brings for its sample."""
        match event:
            case Started():
                for number, reply in enumerate(self._replies):
                    self._give(reply, msgspec.structs.replace(event, seed=event.seed + number))
            case Token() | Finished(reason="stop" | "eos" | "length" | "cancelled"):
                self._give(self._replies[event.sample], _first(event))
            case Failed():
                self._error = event.message
            case Finished():
                # After a failure each sample gets an end, with the text that was held back.
                reply = self._replies[event.sample]
                if self.chat.is_open(reply):
                    self.chat.append(reply, event.text)
                    self.chat.finish(reply, event.reason, error=self._error)

    def _give(self, reply: str, event: Event) -> None:
        if self._recorder is None:
            self.chat.take(reply, event)
        else:
            self._recorder.take(reply, event)

    # ----------------------------------------------------------------------------- the end

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what is not written yet."""
        for reply in self._replies:
            self.chat.finish(reply, "cancelled" if error is None else "error")
        if self._recorder is not None:
            self._recorder.save()
        if self._history is not None and not self._history.close():
            self._not_kept(self._history.trouble)


class KeepingWriter:
    """A writer that has what it prints kept."""

    def __init__(self, writer: Writer, keeping: Keeping) -> None:
        self._writer = writer
        self._keeping = keeping

    def event(self, event: Event) -> None:
        """Print first: who reads waits for it."""
        try:
            self._writer.event(event)
        finally:
            self._keeping.take(event)

    def close(self) -> None:
        """Print what is left."""
        self._writer.close()


def _first(event: Token | Finished) -> Event:
    """As the event of a reply that is the only one."""
    return msgspec.structs.replace(event, sample=0) if event.sample else event
