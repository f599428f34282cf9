"""Chat history for one run of the command line: the chat it resumes, and saving what is added."""

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

import msgspec

from gptterm.cli.options import RunOptions
from gptterm.cli.output import Writer
from gptterm.cli.streams import Streams
from gptterm.config import Settings
from gptterm.conversation.nodes import Generation
from gptterm.conversation.resume import last_model, resumed_model
from gptterm.conversation.tree import Conversation, clean_text
from gptterm.engine.api import Event, Failed, Finished, ModelInfo, Prompt, Reasoning, Started, Token

if TYPE_CHECKING:
    from gptterm.store import ChatSaver, History


class OpenChat(NamedTuple):
    """A conversation and its saver."""

    tree: Conversation
    saver: "ChatSaver | None" = None
    """None: the chat is not saved."""

    def commit(self) -> None:
        """Save and wait until it is on the disk, if possible: before a generation starts."""
        if self.saver is not None:
            self.saver.commit()

    def save(self) -> None:
        """Save in the background."""
        if self.saver is not None:
            self.saver.save()

    def apply_event(self, reply: str, event: Event) -> None:
        """Apply an event of a generation to its reply and save the change."""
        if self.saver is None:
            self.tree.apply_event(reply, event)
        else:
            self.saver.apply_event(reply, event)

    @property
    def is_chat(self) -> bool:
        """Whether the last reply was made in chat form, not as a raw continuation."""
        reply = self.tree.last_reply()
        run = None if reply is None else self.tree.node(reply).generation
        return run is not None and not run.raw


class ChatHistory:
    """Opens the history if there is something to load or to save. A context manager.

    A history that cannot be written does not stop the run. One that cannot be read does if a chat
    of it is to be resumed.

    Args:
        resume: the beginning of the id of the chat to resume, or `last`; None for a new chat.
        save: whether chats are saved.

    Raises:
        GpttermError: there is no such chat, or it cannot be read.
    """

    def __init__(self, resume: str | None, save: bool, streams: Streams) -> None:
        self._streams = streams
        self._save = save
        self._history: History | None = None
        self._notices: deque[str] = deque()
        """Notices that are not shown yet; the history's thread appends to it."""
        self.resumed = resume is not None
        """Whether the first chat is a saved one."""
        tree = Conversation()
        if resume is not None or save:
            tree = self._open(resume) or tree
        self.first = self.open_chat(tree)
        """The chat to begin with."""

    def _open(self, resume: str | None) -> Conversation | None:
        from gptterm.paths import history_file
        from gptterm.store import History, find_conversation

        # If no chat is to be loaded, a history that cannot be opened yet may be opened later.
        retry = resume is None
        self._history = History.open(history_file(), self._notices.append, retry=retry)
        if not self._history.write_error:
            # Else one line at the end is enough, if it still cannot be written.
            self.show_notices()
        if resume is None:
            return None
        return self._history.load(find_conversation(self._history, resume))

    def open_chat(self, tree: Conversation, saver: "ChatSaver | None" = None) -> OpenChat:
        """Return a chat that is saved from here on, unless saving is off.

        Args:
            saver: its saver in a history that is closed now.
        """
        if self._history is None or not self._save:
            return OpenChat(tree)
        return OpenChat(tree, self._history.saver(tree, after=saver))

    def show_notices(self) -> None:
        """Write the history's new notices to stderr, which its own thread must not do."""
        while self._notices:
            self._streams.note(self._notices.popleft())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Write the rest and close the history."""
        if self._history is None:
            return
        complete, reason = self._history.close(), self._history.write_error
        if not complete:
            # A notice that it may be saved later is no longer true.
            lasting = [text for text in self._notices if not text.endswith(reason)]
            self._notices = deque(lasting)
        self.show_notices()
        if not complete:
            self._streams.note(f"this is not saved: {reason} (--no-save does not try)")


def requested_chat(options: RunOptions) -> str | None:
    """The saved chat that the options ask for: the beginning of an id, or `last`."""
    if options.continue_last:
        from gptterm.store import LAST

        return LAST
    return options.conversation


def resume_with_its_model(
    chat: OpenChat, settings: Settings, note: Callable[[str], None]
) -> Settings:
    """Settings for a resumed chat: with its own model, unless another is chosen, as `note` says."""
    model, own = resumed_model(chat.tree, settings), last_model(chat.tree)
    if own and own != model:
        note(f"this chat was written by {own}: -m {own} continues with it")
    if model == settings.model:
        return settings
    return settings.with_values({"model": model}, "the chat")


class PromptTurns:
    """The turns of one prompt, in a new or a resumed chat: the prompt and a reply per sample."""

    def __init__(self, chat: OpenChat) -> None:
        self._chat = chat
        self._question = ""
        self._replies: list[str] = []
        self._error = ""

    def ask(self, text: str) -> None:
        """Add the prompt, or another version of it; it is on the disk then, if possible."""
        tree = self._chat.tree
        if not self._question:
            self._question = tree.add_user(text)
        elif tree.node(self._question).text != clean_text(text):
            self._question = tree.edit(self._question, text)
        else:
            return
        self._chat.commit()

    def begin(self, info: ModelInfo, settings: Settings, samples: int, *, chat: bool) -> None:
        """Begin a reply for each sample, as siblings."""
        tree = self._chat.tree
        seeds = [None if settings.seed is None else settings.seed + i for i in range(samples)]
        runs = [
            Generation.for_model(
                info, settings.sampling,
                seed=seed, max_tokens=settings.max_tokens, stop=settings.stop,
                until=settings.until, raw=not chat,
            )
            for seed in seeds
        ]  # fmt: skip
        self._replies = [tree.begin_reply(self._question, run) for run in runs]
        tree.select(self._replies[0])

    def prompt(self, info: ModelInfo, settings: Settings, chat: bool) -> Prompt:
        """The prompt for the engine, with the turns before it."""
        tree, reply = self._chat.tree, self._replies[0]
        if chat:
            return tree.chat_prompt(reply, info, settings.transcript)
        return tree.raw_prompt(reply)

    def apply_event(self, event: Event) -> None:
        """Apply an event to the reply of its sample and save the change."""
        match event:
            case Started():
                for number, reply in enumerate(self._replies):
                    seed = None if event.seed is None else event.seed + number
                    started = msgspec.structs.replace(event, seed=seed)
                    self._chat.apply_event(reply, started)
            case Token() | Reasoning() | Finished(reason="stop" | "eos" | "length" | "cancelled"):
                self._chat.apply_event(self._replies[event.sample], _as_first_sample(event))
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
        """Finish every reply."""
        for reply in self._replies:
            self._chat.tree.finish(reply, "cancelled" if error is None else "error")
        self._chat.save()


class SavingWriter:
    """A writer that also saves what it prints."""

    def __init__(self, writer: Writer, turns: PromptTurns) -> None:
        self._writer = writer
        self._turns = turns

    def event(self, event: Event) -> None:
        """Print, then save: the reader waits for the text."""
        try:
            self._writer.event(event)
        finally:
            self._turns.apply_event(event)

    def close(self) -> None:
        """Print the rest."""
        self._writer.close()


def _as_first_sample(event: Token | Reasoning | Finished) -> Event:
    """The event as that of a reply with one sample."""
    return msgspec.structs.replace(event, sample=0) if event.sample else event
