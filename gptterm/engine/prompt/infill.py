"""Fill in the middle: a prompt of the texts before and behind a place, for models trained on it.

The text before, the text behind and then the middle, each behind its own token: PSM of Bavarian et
al., 2022, Efficient Training of Language Models to Fill in the Middle.
"""

from typing import NamedTuple

from gptterm.engine.prompt.mixed import MixedIds
from gptterm.engine.text.infill_tokens import InfillTokens
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.errors import PromptTooLongError

_SUFFIX_SHARE = 4
"""The text behind gets a quarter of the room, and what the text before leaves."""
_SIGNS = 3


class Infill(NamedTuple):
    """A prompt for the middle."""

    ids: list[int]
    dropped: int
    """Tokens of both texts that did not fit."""
    seen: int
    """Tokens of both texts that did."""
    kept: int
    """Tokens of the memory and the note."""


def infill(
    before: MixedIds, after: str, tokens: InfillTokens, tokenizer: Tokenizer, room: int
) -> Infill:
    """Join the texts before and behind a place to a prompt of at most `room` tokens.

    The end of the text before is kept, and the beginning of the one behind; a memory and a note
    are part of the text before.

    Raises:
        PromptTooLongError: the memory and the note leave no room.
    """
    start = len(tokenizer.start_ids)
    suffix = tokenizer.encode(after, "inside")
    room -= len(before.front) + len(before.note) + _SIGNS
    if room < 1:
        raise PromptTooLongError(
            f"the memory and the note have {before.kept} tokens and leave no room for the texts;"
            " shorten them or lower --max-tokens"
        )
    kept = suffix[: max(room // _SUFFIX_SHARE, room - len(before.body))]
    left = room - len(kept)
    joined = before.joined(left)
    ids = [
        *joined[:start], tokens.prefix, *joined[start:], tokens.suffix, *kept, tokens.middle,
    ]  # fmt: skip
    dropped = max(0, len(before.body) - left) + len(suffix) - len(kept)
    seen = min(len(before.body), left) + len(kept)
    return Infill(ids, dropped, seen, before.kept)
