"""Build a prompt's ids from text, special tokens and given ids."""

from collections.abc import Sequence

from gptterm.engine.text.tokenizer import SpecialToken, TextPosition, Tokenizer


class PromptBuilder:
    """Builder of one prompt.

    Adjacent texts are encoded together, which gives the same ids as the whole prompt at once.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._pending = ""
        self._position: TextPosition = "start"
        self._strip_next = False

    def add_text(self, text: str) -> None:
        """Append text; the name of a special token in it is ordinary characters."""
        if self._strip_next:
            text = text.lstrip()
            self._strip_next = not text
        self._pending += text

    def add_special(self, special: SpecialToken) -> None:
        """Append a special token, and strip the white space beside it that it absorbs."""
        if special.lstrip:
            self._pending = self._pending.rstrip()
        self._flush()
        self._ids.append(special.id)
        self._position = "after special"
        self._strip_next = special.rstrip

    def add_ids(self, ids: Sequence[int]) -> None:
        """Append ids verbatim."""
        self._flush()
        self._ids += ids
        self._position = "inside"
        self._strip_next = False

    def _flush(self) -> None:
        if self._pending:
            self._ids += self._tokenizer.encode(self._pending, self._position)
        self._pending = ""

    def build(self) -> list[int]:
        """Return the ids of the whole prompt."""
        self._flush()
        return self._ids
