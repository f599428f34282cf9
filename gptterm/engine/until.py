"""Ends of a text that are part of it: a unit of writing, a text, or a regular expression.

`stop` leaves a text out and ends before it; `until` ends behind what it finds. Light to import.
"""

from typing import TYPE_CHECKING

from gptterm.errors import UsageError
from gptterm.format import shorten

if TYPE_CHECKING:
    from regex import Pattern

UNITS: dict[str, str] = {
    # Up to the white space behind the signs that end it, or behind an ideographic full stop.
    "sentence": r"""[.!?…]+["'”’»)\]]*(?=\s)|[。！？]+[」』”’）]*""",
    # Up to a blank line behind some text.
    "paragraph": r"\S(?=[^\S\n]*\n[^\S\n]*\n)",
    "line": r"\S(?=[^\S\n]*\n)",
}
"""Regular expressions of the units that a text can end with."""

MOST_CHARACTERS = 500
"""Of a regular expression."""
_WINDOW = 2000
"""Characters before the new ones in which a match may begin."""
_PATIENCE_S = 0.25
"""Longest search: an expression may take time that is exponential in the text."""


def is_expression(end: str) -> bool:
    """Whether an end is a regular expression: `/…/`."""
    return len(end) > 2 and end.startswith("/") and end.endswith("/")


def pattern(end: str) -> "Pattern[str]":
    """Compile an end.

    Raises:
        ValueError: it is no valid expression, is too long, or finds the empty text.
    """
    # 40 ms, which only those pay who use it.
    import regex

    if end in UNITS:
        return regex.compile(UNITS[end])
    if not is_expression(end):
        return regex.compile(regex.escape(end))
    if len(end) - 2 > MOST_CHARACTERS:
        raise ValueError(f"must be at most {MOST_CHARACTERS} characters, not {len(end) - 2}")
    try:
        compiled = regex.compile(end[1:-1])
        finds_nothing = compiled.search("", timeout=_PATIENCE_S) is not None
    except (regex.error, OverflowError, RecursionError, MemoryError, TimeoutError) as error:
        raise ValueError(f"is no regular expression: {shorten(end, 40)} ({error})") from None
    if finds_nothing:
        raise ValueError(f"must find some text: {shorten(end, 40)} finds the empty one")
    return compiled


class UntilMatcher:
    """Passes text through until one of the ends is found in it.

    The text ends behind the match that begins first; what has been passed through stays. White
    space waits for what follows it: it is no part of a line or paragraph that ends before it.

    Args:
        ends: units, texts and expressions.

    Raises:
        ValueError: an expression is not valid.
    """

    def __init__(self, ends: tuple[str, ...]) -> None:
        self._patterns = [(end, pattern(end)) for end in ends]
        self._text = ""
        self._held = 0
        """Characters of white space at its end that were not passed through."""
        self.matched: str | None = None
        """The end that was found; no text follows it."""

    def push(self, text: str) -> str:
        """Add text; return what may be shown of it.

        Raises:
            UsageError: an expression takes too long.
        """
        if self.matched is not None or not text:
            return ""
        before = len(self._text) - self._held
        self._text += text
        found: tuple[int, int, str] | None = None
        for end, compiled in self._patterns:
            try:
                match = compiled.search(
                    self._text, pos=max(0, before - _WINDOW), timeout=_PATIENCE_S
                )
            except TimeoutError:
                raise UsageError(
                    f"--until {shorten(end, 40)} takes too long on this text: write it simpler"
                ) from None
            if match is not None and (found is None or match.start() < found[0]):
                found = match.start(), match.end(), end
        if found is not None:
            self.matched = found[2]
            return self._text[before : found[1]]
        shown = max(before, len(self._text.rstrip()))
        self._held = len(self._text) - shown
        return self._text[before:shown]

    def flush(self) -> str:
        """Return what was held back, at the end of the stream."""
        if self.matched is not None or not self._held:
            return ""
        held, self._held = self._text[-self._held :], 0
        return held
