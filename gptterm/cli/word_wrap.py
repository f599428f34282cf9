"""Line breaks between words, in a text that is printed while it is written."""

import re
from collections.abc import Iterator

from rich.cells import cell_len

# Between the characters of some scripts, a line may end anywhere.
_WIDE = (
    "\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60"
    "\U0001f300-\U0003fffd"
)
_PARTS = re.compile(rf"\n|[^\S\n]+|[{_WIDE}]|[^\s{_WIDE}]+")


class WordWrapper:
    """Breaks lines of a text that comes in pieces; a word is given out once its end is known.

    Args:
        width: Cells of a line.
    """

    def __init__(self, width: int) -> None:
        self._width = max(1, width)
        self._column = 0
        """Cells of the line so far."""
        self._gap = ""
        self._word = ""

    def feed(self, text: str) -> str:
        """Return what can be printed after the next piece."""
        return "".join(self._feed(text))

    def _feed(self, text: str) -> Iterator[str]:
        for part in _PARTS.findall(text):
            if part == "\n":
                yield f"{self.end()}\n"
                self._column = 0
            elif part.isspace():
                yield self._place()
                self._gap += part
            elif re.match(f"[{_WIDE}]", part):
                yield self._place()
                self._word = part
                yield self._place()
            else:
                self._word += part
                if cell_len(self._word) > self._width:
                    # It fits no line: the terminal breaks it.
                    yield self._place()

    def end(self) -> str:
        """Return what is left, at the end of a line or of the text."""
        placed, gap = self._place(), self._gap
        self._gap = ""
        return placed + gap

    def _place(self) -> str:
        """Return the word that has ended, on this line or the next one."""
        gap, word = self._gap, self._word
        if not word:
            return ""
        self._gap = self._word = ""
        cells = cell_len(word)
        if self._column and self._column + cell_len(gap) + cells > self._width:
            self._column = cells
            gap = "\n"
        else:
            self._column += cell_len(gap) + cells
        # The terminal went on to another line where a word fits none.
        self._column = (self._column - 1) % self._width + 1
        return gap + word
