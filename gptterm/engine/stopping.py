"""Stop texts in a stream: nothing of a stop text is ever let out, and nothing else is held back."""

from collections.abc import Sequence


class StopMatcher:
    """Passes text through until one of the stop texts appears in it.

    A stop text may arrive in any number of pieces. What is withheld is only the longest suffix
    that could still become one.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(dict.fromkeys(stops))
        self._held = ""
        self.matched: str | None = None
        """The stop text that appeared; after that nothing more comes out."""

    def push(self, text: str) -> str:
        """Take in more text and return what may be shown of it now."""
        if self.matched is not None:
            return ""
        if not self._stops:
            return text
        text = self._held + text
        # The earliest beginning wins; of two at one place the longer, so the choice is the same
        # however the text was cut into pieces... unless the longer has not fully arrived yet.
        found = [(at, -len(stop), stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            at, _, self.matched = min(found)
            self._held = ""
            return text[:at]
        keep = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def flush(self) -> str:
        """The stream has ended: what was withheld was no stop text after all."""
        text, self._held = self._held, ""
        return text


def _overlap(text: str, stop: str) -> int:
    """Length of the longest suffix of `text` that is a proper prefix of `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
