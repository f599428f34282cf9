"""Streaming text from ids: nothing is held back but the bytes of an unfinished character.

For any prompt, reply and cut: the decoding of the prompt, as far as its characters are finished,
and what is streamed are together the decoding of all ids at once.
"""

import codecs
from collections.abc import Sequence
from typing import Protocol

from gptterm.engine.text.tokenizer import Tokenizer

_CONTEXT = 8
"""Tokens of the past that a tokenizer without bytes of its own is given to decode beside."""
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Detokenizer(Protocol):
    """Turns ids into text, one at a time."""

    def push(self, token_id: int) -> str:
        """Take one id; return the text that is certain now."""
        ...

    def flush(self) -> str:
        """No id follows: return what was held back, incomplete characters as U+FFFD."""
        ...


def detokenizer(tokenizer: Tokenizer, prompt: Sequence[int] = ()) -> Detokenizer:
    """The right detokenizer for a continuation of `prompt`."""
    if tokenizer.kind == "other":
        return WindowDetokenizer(tokenizer, prompt)
    return ByteDetokenizer(tokenizer, prompt)


class ByteDetokenizer:
    """For tokenizers whose tokens are bytes: O(1) per token, exact for any sequence of ids.

    A character that the prompt left unfinished is finished by the first tokens of the reply.
    Invalid bytes become U+FFFD once per maximal bad sequence, as in Python's own decoder.
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._specials = tokenizer.special_ids
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = False
        # Three tokens hold all of a character but its last byte; the fourth has gone before them.
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
    """For any other tokenizer: the text is what decoding a window of ids gains with each one.

    Decoders may add or drop spaces at the ends of what they are given, so text is compared only
    between windows that begin at the same token.
    """

    def __init__(self, tokenizer: Tokenizer, prompt: Sequence[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._ids, self._shown = self._window(_last(tokenizer, prompt, _CONTEXT + 6))

    def push(self, token_id: int) -> str:
        if token_id in self._tokenizer.special_ids:
            return ""
        self._ids.append(token_id)
        text = self._tokenizer.decode(self._ids)
        return "" if text.endswith(_REPLACEMENT) else self._take(text)

    def flush(self) -> str:
        return self._take(self._tokenizer.decode(self._ids))

    def _take(self, text: str) -> str:
        new = text[len(self._shown) :]
        self._shown = text
        if len(self._ids) > 2 * _CONTEXT:
            self._ids, self._shown = self._window(self._ids)
        return new

    def _window(self, ids: list[int]) -> tuple[list[int], str]:
        """The last ids, begun where no character is cut in two, and their finished text."""
        for unfinished in range(4):  # bytes of a character
            head = ids[: len(ids) - unfinished]
            for size in range(_CONTEXT, _CONTEXT + 4):
                text = self._tokenizer.decode(head[-size:])
                if _REPLACEMENT not in text[:1] + text[-1:]:
                    return head[-size:] + ids[len(head) :], text
        return ids[-_CONTEXT:], self._tokenizer.decode(ids[-_CONTEXT:])


def _last(tokenizer: Tokenizer, ids: Sequence[int], count: int) -> list[int]:
    """The last `count` ids that are text."""
    found: list[int] = []
    for token_id in reversed(ids):
        if len(found) == count:
            break
        if token_id not in tokenizer.special_ids:
            found.append(token_id)
    return found[::-1]
