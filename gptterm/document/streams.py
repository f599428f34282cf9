"""Streams: versions of a document while a model writes them."""

from bisect import bisect_right
from itertools import accumulate

import msgspec

from gptterm.conversation.nodes import Generation, Node
from gptterm.conversation.reply_builder import ReplyBuilder
from gptterm.document.edits import Edit
from gptterm.engine.api import Event, Failed, FinishReason, SamplingParams, Token


class Stream:
    """A version that a model writes.

    Args:
        edit: the version, still empty.
        run: what writes it.
    """

    def __init__(self, edit: Edit, run: Generation) -> None:
        node = Node(id=edit.id, parent=None, role="assistant", text="", created=edit.created)
        self._reply = ReplyBuilder(node, run)
        self._lengths: list[int] = []
        """Bytes of each token."""
        self._logprobs: list[float | None] = []

    def apply(self, event: Event) -> bool:
        """Apply an event of the generation; return whether it is the last one."""
        self._reply.apply(event)
        if isinstance(event, Token):
            self._lengths.append(len(event.piece))
            self._logprobs.append(event.logprob)
        return self._reply.finished or isinstance(event, Failed)

    def change_sampling(self, sampling: SamplingParams) -> None:
        """Note other samplers for the tokens from here on."""
        self._reply.change_sampling(sampling)

    def finish(self, reason: FinishReason, error: str) -> None:
        """End it."""
        self._reply.finish(reason, error=error)

    def scored(self, edit: Edit) -> Edit:
        """Return the version with the tokens that its text has by now; their ids are not known."""
        size = len(edit.text.encode())
        count = bisect_right(list(accumulate(self._lengths)), size)
        logprobs = self._logprobs[:count]
        return msgspec.structs.replace(
            edit,
            lengths=tuple(self._lengths[:count]),
            logprobs=() if None in logprobs else tuple(logprobs),
        )

    def written(self, edit: Edit, *, ended: bool) -> Edit:
        """Return the version with what was written so far; its tokens only once it has ended."""
        if not ended:
            return msgspec.structs.replace(edit, text=self._reply.new_text)
        node = self._reply.node()
        sizes = tuple(self._lengths[: len(node.ids)])
        fits = sum(sizes) == len(node.text.encode())
        logprobs = self._logprobs[: len(sizes)] if fits else []
        return msgspec.structs.replace(
            edit,
            text=node.text,
            ids=node.ids if fits else (),
            lengths=sizes if fits else (),
            logprobs=() if None in logprobs else tuple(logprobs),
            run=node.generation,
        )
