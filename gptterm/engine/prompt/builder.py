"""A prompt put together from text, special tokens and ready-made ids."""

from collections.abc import Sequence

from gptterm.engine.text.tokenizer import SpecialToken, TextPosition, Tokenizer


class PromptBuilder:
    """Neighbouring texts are encoded as one: the same ids as for the whole prompt at once."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._pending = ""
        self._position: TextPosition = "start"
        self._strip_next = False

    def add_text(self, text: str) -> None:
        """Ordinary text, whatever it says."""
        if self._strip_next:
            text = text.lstrip()
            self._strip_next = not text
        self._pending += text

    def add_special(self, special: SpecialToken) -> None:
        """A special token, with what it does to the white space beside it."""
        if special.left:
            self._pending = self._pending.rstrip()
        self._flush()
        self._ids.append(special.id)
        self._position = "after special"
        self._strip_next = special.right

    def add_ids(self, ids: Sequence[int]) -> None:
        """Ids that are used as they are."""
        self._flush()
        self._ids += ids
        self._position = "inside"
        self._strip_next = False

    def _flush(self) -> None:
        if self._pending:
            self._ids += self._tokenizer.encode(self._pending, self._position)
        self._pending = ""

    def build(self) -> list[int]:
        """The whole prompt."""
        self._flush()
        return self._ids
