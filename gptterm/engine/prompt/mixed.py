"""Mixed prompts: texts and ids, with a memory before them and a note among their last tokens."""

from collections.abc import Sequence
from typing import NamedTuple

from gptterm.engine.api import MixedPrompt, TextPrompt, TokenPrompt
from gptterm.engine.prompt.builder import PromptBuilder
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.errors import UsageError


class MixedIds(NamedTuple):
    """Ids of a mixed prompt, in its parts."""

    front: list[int]
    """The start tokens and the memory."""
    body: list[int]
    """The text to continue."""
    note: list[int]
    depth: int
    """Ids of the body after the note."""
    kept: int
    """Number of ids of the memory and the note."""

    def joined(self, most: int | None = None) -> list[int]:
        """Return all ids in order; of the body, the last ones alone.

        Args:
            most: ids of the body that are left; None for all.
        """
        body = self.body if most is None else self.body[max(0, len(self.body) - most) :]
        at = max(0, len(body) - self.depth)
        return [*self.front, *body[:at], *self.note, *body[at:]]


def mixed_ids(prompt: MixedPrompt, tokenizer: Tokenizer, vocab_size: int) -> MixedIds:
    """Encode a mixed prompt.

    Raises:
        UsageError: an id is not in the vocabulary.
    """
    memory = tokenizer.encode(prompt.memory) if prompt.memory else []
    builder = PromptBuilder(tokenizer)
    if memory:
        builder.add_ids(())  # the text does not begin the prompt
    for part in prompt.parts:
        match part:
            case TextPrompt(text=text):
                builder.add_text(text)
            case TokenPrompt(ids=ids):
                check_ids(ids, vocab_size)
                builder.add_ids(ids)
    body = builder.build()
    note = tokenizer.encode(prompt.note, "inside") if prompt.note else []
    front = [*tokenizer.start_ids, *memory]
    return MixedIds(front, body, note, max(0, prompt.note_depth), len(memory) + len(note))


def check_ids(ids: Sequence[int], vocab_size: int) -> None:
    """Refuse ids that are not in the vocabulary.

    Raises:
        UsageError: one is not.
    """
    for token_id in ids:
        if not 0 <= token_id < vocab_size:
            raise UsageError(f"token id {token_id} is not in [0, {vocab_size})")
