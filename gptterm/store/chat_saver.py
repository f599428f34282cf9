"""Saves the changes of a conversation while it goes on."""

from gptterm.conversation.tree import Conversation
from gptterm.engine.api import Event, Failed, Finished, Started, Token
from gptterm.store.pending_changes import PendingChanges, TextDelta
from gptterm.store.writer_thread import WriterThread

COMMIT_S = 2.0
"""Time a front end waits for a commit; what is not written by then is written later."""


class ChatSaver:
    """Saves the changes of one conversation. Made by `History.saver`.

    Its methods belong to the thread that changes the conversation. All take microseconds, except
    `commit`.
    """

    def __init__(self, chat: Conversation, pending: PendingChanges, writer: WriterThread) -> None:
        self.chat = chat
        self.pending = pending
        """Saved changes and those still pending. For the store."""
        self._writer = writer

    def save(self) -> None:
        """Hand all changes of the conversation to the writer thread, to be written at once."""
        self.pending.collect(self.chat)
        if self.pending.changed:
            self._writer.add(self.pending, urgent=True)

    def commit(self, timeout: float = COMMIT_S) -> bool:
        """Save and wait until it is on the disk (milliseconds); call it before a generation.

        Returns:
            Whether it is on the disk. If not, it stays in memory, the user is told, and the
            caller goes on.
        """
        self.save()
        return self._writer.flush(timeout)

    def apply_event(self, reply: str, event: Event) -> None:
        """Apply an event with `Conversation.apply_event` and save the change.

        A streaming reply is written every 150 ms, and at once when it ends.

        Raises:
            KeyError: there is no such turn.
        """
        self.chat.apply_event(reply, event)
        match event:
            case Token(sample=0):
                if self.pending.append(reply, TextDelta(event.text, 1)):
                    self._writer.add(self.pending, urgent=False)
                else:
                    self.save()
            case Started() | Finished(sample=0) | Failed():
                self.save()
