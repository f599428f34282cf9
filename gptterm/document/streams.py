"""Streams: versions of a document while a model writes them."""

from itertools import pairwise

import msgspec

from gptterm.conversation.nodes import Generation, Node, shared_ids
from gptterm.conversation.reply_builder import ReplyBuilder
from gptterm.conversation.spelling import Spelling, spell
from gptterm.document.edits import Edit
from gptterm.engine.api import NO_ID, Event, Failed, FinishReason, SamplingParams, Token


class Stream:
    """A version that a model writes.

    Args:
        edit: the version, still empty.
        run: what writes it.
    """

    def __init__(self, edit: Edit, run: Generation) -> None:
        node = Node(id=edit.id, parent=None, role="assistant", text="", created=edit.created)
        self._reply = ReplyBuilder(node, run)
        self._ids: list[int] = []
        self._pieces: list[bytes] = []
        self._spelled = Spelling(b"", [])
        self._logprobs: list[float | None] = []

    def apply(self, event: Event) -> bool:
        """Apply an event of the generation; return whether it is the last one."""
        self._reply.apply(event)
        if isinstance(event, Token):
            self._ids.append(event.id)
            self._pieces.append(event.piece)
            self._logprobs.append(event.logprob)
        return self._reply.finished or isinstance(event, Failed)

    def change_sampling(self, sampling: SamplingParams) -> None:
        """Note other samplers for the tokens from here on."""
        self._reply.change_sampling(sampling)

    def finish(self, reason: FinishReason, error: str) -> None:
        """End it."""
        self._reply.finish(reason, error=error)

    def scored(self, edit: Edit) -> Edit:
        """Return the version with the tokens that its text has by now, without their ids."""
        if len(self._spelled.ends) < len(self._pieces):
            self._spelled = spell(self._pieces)  # once for all rows that are drawn
        count = self._spelled.count_within(edit.text)
        sizes = (end - start for start, end in pairwise((0, *self._spelled.ends[:count])))
        logprobs = self._logprobs[:count]
        return msgspec.structs.replace(
            edit,
            lengths=tuple(sizes),
            logprobs=() if None in logprobs else tuple(logprobs),
        )

    def written(self, edit: Edit, *, ended: bool) -> Edit:
        """Return the version with what was written so far; its tokens only once it has ended."""
        edit = msgspec.structs.replace(edit, text=self._reply.new_text)
        if not ended:
            return edit
        run = self._reply.run
        if NO_ID in self._ids:
            return msgspec.structs.replace(edit, run=run)
        scored = self.scored(edit)
        ids = shared_ids(self._ids[: len(scored.lengths)])
        return msgspec.structs.replace(scored, ids=ids, run=run)
