"""Streaming detokenizer: holds back only the bytes of an incomplete character.

For any prompt and reply, the decoded prompt, up to its last complete character, followed by the
streamed text equals all ids decoded at once.
"""

import codecs
from collections.abc import Sequence
from typing import Protocol

from gptterm.engine.text.tokenizer import Tokenizer

_CONTEXT = 8
"""Tokens before the new one that are decoded with it, where tokens have no bytes of their own."""
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Detokenizer(Protocol):
    """Turns ids into text, one at a time."""

    def push(self, token_id: int) -> str:
        """Add one id; return the text that is now complete."""
        ...

    def flush(self) -> str:
        """Return what was held back, at the end of the stream; incomplete characters as U+FFFD."""
        ...


def detokenizer(tokenizer: Tokenizer, prompt: Sequence[int] = ()) -> Detokenizer:
    """Return a detokenizer for a continuation of `prompt`."""
    if tokenizer.kind == "other":
        return WindowDetokenizer(tokenizer, prompt)
    return ByteDetokenizer(tokenizer, prompt)


class ByteDetokenizer:
    """Detokenizer for tokens that are bytes: O(1) per token, exact for any sequence of ids.

    A character that the prompt left incomplete is completed by the first tokens of the reply.
    Invalid bytes become U+FFFD once per maximal invalid sequence, as in Python's decoder.
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._specials = tokenizer.special_ids
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = False
        # An incomplete character has at most three bytes, in three tokens. With a fourth before
        # them, none of them counts as the first token of a text.
        for token_id in _last(tokenizer, prompt, 4):
            self.push(token_id)

    def push(self, token_id: int) -> str:
        if token_id in self._specials:
            return ""
        if self._begun:
            return self._decoder.decode(self._tokenizer.piece(token_id))
        self._begun = True
        return self._decoder.decode(self._tokenizer.first_piece(token_id))

    def flush(self) -> str:
        return self._decoder.decode(b"", final=True)


class WindowDetokenizer:
    """Detokenizer for any other tokenizer: decodes a sliding window of ids, returns its growth.

    Decoders may add or drop spaces at the ends of their input, so texts are compared only between
    windows that begin at the same token.
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._ids, self._shown = self._window(_last(tokenizer, prompt, _CONTEXT + 6))

    def push(self, token_id: int) -> str:
        if token_id in self._tokenizer.special_ids:
            return ""
        self._ids.append(token_id)
        text = self._tokenizer.decode(self._ids)
        return "" if text.endswith(_REPLACEMENT) else self._advance(text)

    def flush(self) -> str:
        return self._advance(self._tokenizer.decode(self._ids))

    def _advance(self, text: str) -> str:
        new = text[len(self._shown) :]
        self._shown = text
        if len(self._ids) > 2 * _CONTEXT:
            self._ids, self._shown = self._window(self._ids)
        return new

    def _window(self, ids: list[int]) -> tuple[list[int], str]:
        """Return the last ids, from a character boundary on, and their complete text."""
        for incomplete in range(4):  # bytes of a character
            head = ids[: len(ids) - incomplete]
            for size in range(_CONTEXT, _CONTEXT + 4):
                text = self._tokenizer.decode(head[-size:])
                if _REPLACEMENT not in text[:1] + text[-1:]:
                    return head[-size:] + ids[len(head) :], text
        return ids[-_CONTEXT:], self._tokenizer.decode(ids[-_CONTEXT:])


def _last(tokenizer: Tokenizer, ids: Sequence[int], count: int) -> list[int]:
    """Return the last `count` ids that are not special."""
    found: list[int] = []
    for token_id in reversed(ids):
        if len(found) == count:
            break
        if token_id not in tokenizer.special_ids:
            found.append(token_id)
    return found[::-1]
