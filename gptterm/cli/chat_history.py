"""The history as one run of the command line uses it: what it goes on with, what it keeps."""

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from gptterm.cli.options import RunOptions
from gptterm.cli.streams import Streams
from gptterm.config import Settings
from gptterm.conversation.tree import Conversation
from gptterm.engine.api import Event

if TYPE_CHECKING:
    from gptterm.store import ChatSaver, History


import msgspec

from gptterm.cli.output import Writer
from gptterm.conversation.nodes import Generation
from gptterm.engine.api import Failed, Finished, ModelInfo, Prompt, Started, Token


class KeptChat(NamedTuple):
    """A conversation, and what keeps it."""

    tree: Conversation
    saver: "ChatSaver | None" = None
    """None: it is in memory only."""

    def commit(self) -> None:
        """Have it on the disk, if that can be: before a generation starts."""
        if self.saver is not None:
            self.saver.commit()

    def save(self) -> None:
        """Have what has changed kept; it is written elsewhere."""
        if self.saver is not None:
            self.saver.save()

    def take(self, reply: str, event: Event) -> None:
        """Take in an event of the generation that writes a reply, and keep what it brings."""
        if self.saver is None:
            self.tree.apply_event(reply, event)
        else:
            self.saver.apply_event(reply, event)

    @property
    def is_chat(self) -> bool:
        """Whether the last reply in it was an answer, no mere continuation."""
        reply = self.tree.last_reply()
        run = None if reply is None else self.tree.node(reply).generation
        return run is not None and not run.raw

    @property
    def model(self) -> str:
        """The model that wrote last in it; empty for none of ours."""
        reply = self.tree.last_reply()
        return "" if reply is None else self.tree.node(reply).local_model


class KeptChats:
    """Opens the history where there is something to read or to keep; close it at the end.

    A history that cannot be written is no reason to fail; one that cannot be read is, where a
    chat of it is to go on.

    Args:
        wanted: the beginning of the id of the chat to go on with, or `last`; None for a new one.
        save: whether anything is kept.

    Raises:
        GpttermError: there is no such chat, or it cannot be read.
    """

    def __init__(self, wanted: str | None, save: bool, streams: Streams) -> None:
        self._streams = streams
        self._save = save
        self._history: History | None = None
        self._notices: deque[str] = deque()
        """What the history has said and the user has not read; another thread adds to it."""
        self.continued = wanted is not None
        """Whether the chat to begin with was there before."""
        tree = Conversation()
        if wanted is not None or save:
            tree = self._open(wanted) or tree
        self.first = self.keep(tree)
        """The chat to begin with."""

    def _open(self, wanted: str | None) -> Conversation | None:
        from gptterm.cli.history import find_chat
        from gptterm.paths import history_file
        from gptterm.store import History

        # Without a chat to go on with, a history that cannot be opened now may be later.
        retry = wanted is None
        kept = self._history = History.open(history_file(), self._notices.append, retry=retry)
        if not kept.write_error:
            # Else a line at the end is enough, if it is still so.
            self.say_notices()
        return None if wanted is None else kept.load(find_chat(kept, wanted))

    def keep(self, tree: Conversation, saver: "ChatSaver | None" = None) -> KeptChat:
        """Have a conversation kept from here on.

        Args:
            saver: what kept it in a history that is closed.
        """
        if self._history is None or not self._save:
            return KeptChat(tree)
        return KeptChat(tree, self._history.saver(tree, after=saver))

    def say_notices(self) -> None:
        """Say what the history has had to say since; its own thread must not write anywhere."""
        while self._notices:
            self._streams.note(self._notices.popleft())

    def _not_kept(self, reason: str) -> None:
        self._streams.note(f"this is not kept: {reason} (--no-save does not try)")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write what is not written yet."""
        if self._history is None:
            return
        complete, trouble = self._history.close(), self._history.write_error
        if not complete:
            # That it may be written later is not true any more.
            kept = [text for text in self._notices if not text.endswith(trouble)]
            self._notices = deque(kept)
        self.say_notices()
        if not complete:
            self._not_kept(trouble)


def wanted_chat(options: RunOptions) -> str | None:
    """Which chat the options ask to go on with."""
    from gptterm.cli.history import LAST

    return LAST if options.continue_last else options.conversation


def with_model_of(chat: KeptChat, settings: Settings, note: Callable[[str], None]) -> Settings:
    """A chat that goes on does so with its model, unless another one is asked for."""
    before = chat.model
    if not before or before == settings.model:
        return settings
    if settings.model_is_default:
        return settings.with_values({"model": before}, "the chat")
    note(f"this chat was written by {before}: -m {before} goes on with that")
    return settings


def give_system(chat: KeptChat, settings: Settings, *, continued: bool) -> None:
    """A chat that goes on has its own system text, unless an option gives another."""
    given = settings.system or ""
    is_option = settings.origins["system"] == "option"
    if given.strip() and (is_option or not continued):
        chat.tree.system = given


class Keeping:
    """The turns of a single prompt in a chat, a new one or one that goes on."""

    def __init__(self, chat: KeptChat) -> None:
        self._chat = chat
        self._question = ""
        self._replies: list[str] = []
        self._error = ""

    def ask(self, text: str) -> None:
        """Add the prompt; it is on the disk when this returns, if that can be."""
        self._question = self._chat.tree.add_user(text)
        self._chat.commit()

    def begin(self, info: ModelInfo, settings: Settings, samples: int, *, chat: bool) -> None:
        """Begin a reply for each sample, one beside the other."""
        tree = self._chat.tree
        seeds = [None if settings.seed is None else settings.seed + i for i in range(samples)]
        runs = [
            Generation.for_model(
                info, settings.sampling,
                seed=seed, max_tokens=settings.max_tokens, stop=settings.stop, raw=not chat,
            )
            for seed in seeds
        ]  # fmt: skip
        self._replies = [tree.begin_reply(self._question, run) for run in runs]
        tree.select(self._replies[0])

    def prompt(self, info: ModelInfo, settings: Settings, chat: bool) -> Prompt:
        """All that was said before, and the prompt."""
        tree, reply = self._chat.tree, self._replies[0]
        if chat:
            return tree.chat_prompt(reply, info, settings.transcript)
        return tree.raw_prompt(reply)

    def take(self, event: Event) -> None:
        """Keep what an event brings for its sample."""
        match event:
            case Started():
                for number, reply in enumerate(self._replies):
                    self._chat.take(reply, msgspec.structs.replace(event, seed=event.seed + number))
            case Token() | Finished(reason="stop" | "eos" | "length" | "cancelled"):
                self._chat.take(self._replies[event.sample], _first(event))
            case Failed():
                self._error = event.message
            case Finished():
                # After a failure each sample gets an end, with the text that was held back.
                tree, reply = self._chat.tree, self._replies[event.sample]
                if tree.is_streaming(reply):
                    tree.append(reply, event.text)
                    tree.finish(reply, event.reason, error=self._error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give every reply an end."""
        for reply in self._replies:
            self._chat.tree.finish(reply, "cancelled" if error is None else "error")
        self._chat.save()


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
