"""A prompt put together from text, special tokens and ready-made ids."""

from collections.abc import Sequence

from gptterm.engine.text.tokenizer import Place, Special, Tokenizer


class Parts:
    """Neighbouring texts are encoded as one: the same ids as for the whole prompt at once."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._pending = ""
        self._place: Place = "start"
        self._swallow = False

    def text(self, text: str) -> None:
        """Ordinary text, whatever it says."""
        if self._swallow:
            text = text.lstrip()
            self._swallow = not text
        self._pending += text

    def special(self, special: Special) -> None:
        """A special token, with what it does to the white space beside it."""
        if special.left:
            self._pending = self._pending.rstrip()
        self._flush()
        self._ids.append(special.id)
        self._place = "after special"
        self._swallow = special.right

    def verbatim(self, ids: Sequence[int]) -> None:
        """Ids that are used as they are."""
        self._flush()
        self._ids += ids
        self._place = "inside"
        self._swallow = False

    def _flush(self) -> None:
        if self._pending:
            self._ids += self._tokenizer.encode(self._pending, self._place)
        self._pending = ""

    def ids(self) -> list[int]:
        """The whole prompt."""
        self._flush()
        return self._ids
