"""Keeps one conversation while it goes on."""

from gptterm.conversation.tree import Conversation
from gptterm.engine.api import Event, Failed, Finished, Started, Token
from gptterm.store.journal import Journal, Piece
from gptterm.store.writer import Writer

COMMIT_S = 2.0
"""So long a front end waits at most; what is not written then is written later."""


class Recorder:
    """What a front end tells of a conversation that is to be kept. `History.record` makes it.

    Everything here is for the thread that changes the conversation, and takes microseconds
    but for `commit`.
    """

    def __init__(self, chat: Conversation, journal: Journal, writer: Writer) -> None:
        self.chat = chat
        self.journal = journal
        """What is kept already, and what is on its way; the store's."""
        self._writer = writer

    def save(self) -> None:
        """Note whatever has changed in the conversation; it is written at once, elsewhere."""
        self.journal.compare(self.chat)
        if self.journal.changed:
            self._writer.add(self.journal, urgent=True)

    def commit(self, timeout: float = COMMIT_S) -> bool:
        """`save`, and wait for it (some milliseconds): call it before a generation starts.

        Returns:
            Whether it is on the disk. If not, it is kept in memory and the user told; go on.
        """
        self.save()
        return self._writer.flush(timeout)

    def take(self, reply: str, event: Event) -> None:
        """Give an event to the conversation (`Conversation.take`), and keep what it brings.

        A reply that grows is written every 150 ms, when it ends at once.

        Raises:
            KeyError: there is no such turn.
        """
        self.chat.take(reply, event)
        match event:
            case Token(sample=0):
                if self.journal.grow(reply, Piece(event.text, 1)):
                    self._writer.add(self.journal, urgent=False)
                else:
                    self.save()
            case Started() | Finished(sample=0) | Failed():
                self.save()
