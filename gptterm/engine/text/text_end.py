"""The end of a text: stop texts, which are left out, and ends that are part of it."""

from collections.abc import Sequence
from typing import Protocol

from gptterm.engine.text.stop_strings import StopMatcher
from gptterm.engine.until import UntilMatcher


class TextEnd(Protocol):
    """Passes text through until its end is found."""

    @property
    def matched(self) -> str | None:
        """The end that was found; no text follows it."""

    def push(self, text: str) -> str:
        """Add text; return what may be shown now."""

    def flush(self) -> str:
        """Return what was held back, at the end of the stream."""


def text_end(stops: Sequence[str], until: tuple[str, ...]) -> TextEnd:
    """Return what ends a text: stop texts, and ends that are part of it.

    Raises:
        ValueError: a stop text is empty, or an end is no valid expression.
    """
    stop = StopMatcher(stops)
    return _Both(stop, UntilMatcher(until)) if until else stop


class _Both:
    """Stop texts first: what they hold back is not part of the text yet."""

    def __init__(self, stop: StopMatcher, until: UntilMatcher) -> None:
        self._stop = stop
        self._until = until

    @property
    def matched(self) -> str | None:
        return self._until.matched if self._until.matched is not None else self._stop.matched

    def push(self, text: str) -> str:
        return self._until.push(self._stop.push(text))

    def flush(self) -> str:
        return self._until.push(self._stop.flush()) + self._until.flush()
