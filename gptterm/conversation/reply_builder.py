"""Builder of a reply from the events of a generation; text and tokens are joined on read."""

import msgspec

from gptterm.conversation import token_scores
from gptterm.conversation.nodes import Generation, Node, shared_ids
from gptterm.conversation.spelling import is_open, spell
from gptterm.engine.api import (
    NO_ID,
    Event,
    Failed,
    Finished,
    FinishReason,
    Reasoning,
    SamplingParams,
    Started,
    Timings,
    Token,
    Usage,
)


class ReplyBuilder:
    """Collects the run that writes `node`, or continues it."""

    def __init__(self, node: Node, run: Generation) -> None:
        self._node = node
        self._run = msgspec.structs.replace(run, start=len(node.text))
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._ids: list[int] = []
        self._pieces: list[bytes] = []
        self._scored: list[Token] = []
        """Tokens with log probabilities, if the run was asked for them."""
        # Ids of part of the text are of no use.
        self._has_ids = not node.text or bool(node.ids)

    def apply(self, event: Event) -> None:
        """Apply an event of the run. Samples other than the first belong to other replies."""
        match event:
            case Started():
                self._run = msgspec.structs.replace(
                    self._run,
                    seed=event.seed,
                    dropped_messages=event.dropped_messages,
                    dropped_tokens=event.dropped_tokens,
                )
            case Token(sample=0):
                self.append(event.text, event.id, event.piece)
                if event.logprob is not None and len(self._scored) < token_scores.MAX_TOKENS:
                    self._scored.append(event)
            case Reasoning(sample=0):
                self._reasoning.append(event.text)
            case Finished(sample=0):
                self.append(event.text)
                self.finish(event.reason, stop=event.stop, usage=event.usage, timings=event.timings)
            case Failed():
                self.finish("error", error=event.message)

    def append(self, text: str, token_id: int | None = None, piece: bytes = b"") -> None:
        """Append text, and the token it came with."""
        if text:
            self._text.append(text)
        if token_id is not None:
            self._has_ids = self._has_ids and token_id != NO_ID
            self._ids.append(token_id)
            self._pieces.append(piece)

    def change_sampling(self, sampling: SamplingParams) -> None:
        """Record other samplers for the tokens from here on."""
        changed = (*self._run.changed_sampling, (len(self._ids), sampling))
        self._run = msgspec.structs.replace(self._run, changed_sampling=changed)

    def finish(
        self,
        reason: FinishReason,
        *,
        stop: str | None = None,
        error: str = "",
        usage: Usage | None = None,
        timings: Timings | None = None,
    ) -> None:
        """End the run."""
        self._run = msgspec.structs.replace(
            self._run, reason=reason, stop=stop, error=error, usage=usage, timings=timings
        )

    @property
    def finished(self) -> bool:
        """Whether the run has ended."""
        return self._run.reason is not None

    @property
    def new_text(self) -> str:
        """Text of this run so far."""
        if len(self._text) > 1:
            self._text = ["".join(self._text)]
        return self._text[0] if self._text else ""

    @property
    def run(self) -> Generation:
        """The run so far."""
        reasoning = "".join(self._reasoning)
        return msgspec.structs.replace(self._run, tokens=len(self._ids), reasoning=reasoning)

    def node(self) -> Node:
        """Return the node as it is now. It has token ids once the run has ended."""
        new_text = self.new_text
        spelling = self._ids_spelling(new_text) if self.finished and self._has_ids else None
        return msgspec.structs.replace(
            self._node,
            text=self._node.text + new_text,
            ids=() if spelling is None else self._node.ids + spelling,
            generations=(*self._node.generations, self.run),
            scores=self._scores(new_text) if self.finished else self._node.scores,
        )

    def drawn(self) -> Node:
        """Return the node as it is now; while the run goes on, as far as whole tokens spell its
        text, with their ids, if they are known."""
        node = self.node()
        if self.finished or not self._has_ids:
            return node
        generated, text = spell(self._pieces, final=False), self.new_text
        if (begin := generated.begin_of(text)) is None:
            return node
        generated = generated.behind(begin)
        count = generated.count_within(text)
        size = generated.ends[count - 1] if count else 0
        return msgspec.structs.replace(
            node,
            text=self._node.text + generated.raw[:size].decode(),
            ids=self._node.ids + shared_ids(self._ids[:count]),
        )

    def _scores(self, new_text: str) -> bytes:
        """Scores of the node's tokens and of this run's."""
        if not self._scored:
            return self._node.scores
        new = token_scores.score(self._scored, new_text, self._run.start)
        return token_scores.pack([*token_scores.unpack(self._node.scores), *new])

    def _ids_spelling(self, new_text: str) -> tuple[int, ...] | None:
        """Return the leading ids that spell `new_text`, or None if there are none.

        A reply ended by a stop text has tokens beyond its text, and the stop text may begin in the
        middle of a token: fed to the model again, such ids would differ from what the reader saw.
        White space before the text is stripped in a transcript, but stays part of the ids.
        A character that the end has cut would be completed by what follows the ids: the reader
        would see it beside the sign of its beginning.
        """
        generated = spell(self._pieces)
        if (begin := generated.begin_of(new_text)) is None:
            return None
        for count, end in enumerate((0, *generated.ends)):
            if end == begin + len(new_text.encode()):
                cut = is_open(b"".join(self._pieces[:count]))
                return None if cut else shared_ids(self._ids[:count])
        return None
