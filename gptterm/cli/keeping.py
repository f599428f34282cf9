"""Keeps what one prompt and its samples say, as a chat of the history that may go on."""

from types import TracebackType
from typing import Self

import msgspec

from gptterm.cli.kept import KeptChat
from gptterm.cli.output import Writer
from gptterm.config import Settings
from gptterm.conversation.nodes import Generation
from gptterm.engine.api import Event, Failed, Finished, ModelInfo, Prompt, Started, Token


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
            Generation.planned(
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
            return tree.prompt(reply, info, settings.transcript)
        return tree.continuation(reply)

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
                if tree.is_open(reply):
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
