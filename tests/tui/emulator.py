"""pyte's terminal emulator, quicker: the same screen from the same bytes.

What a program mostly writes is told by one look, where pyte goes character by character: text in
ASCII, and the sequences that set a style or the cursor. A walk over all keys writes 3 MB, for which
pyte took three seconds of the processor, and this takes one.
"""

import re

import pyte
import pyte.modes
from pyte.screens import Char
from wcwidth import wcwidth

_STYLE_OR_CURSOR = re.compile(r"\x1b\[([\d;]*)([mH])")
_LARGEST = 9999
"""pyte's limit of a parameter."""


class Screen(pyte.Screen):
    """A screen that keeps what it has computed."""

    def __init__(self, columns: int, lines: int) -> None:
        self._cells: dict[tuple[Char, str], Char] = {}
        self._styles: dict[tuple[Char, tuple[int, ...]], Char] = {}
        super().__init__(columns, lines)

    def draw(self, data: str) -> None:
        first = self.cursor.x
        is_plain = data.isascii() and data.isprintable() and first + len(data) <= self.columns
        if not is_plain or self.charset or pyte.modes.IRM in self.mode:
            super().draw(data)
            return
        row, style = self.buffer[self.cursor.y], self.cursor.attrs
        for column, char in enumerate(data, first):
            cell = self._cells.get((style, char))
            if cell is None:
                cell = self._cells[style, char] = style._replace(data=char)
            row[column] = cell
        self.cursor.x = first + len(data)
        self.dirty.add(self.cursor.y)

    def select_graphic_rendition(self, *codes: int) -> None:
        before = self.cursor.attrs
        after = self._styles.get((before, codes))
        if after is None:
            super().select_graphic_rendition(*codes)
            after = self._styles[before, codes] = self.cursor.attrs
        self.cursor.attrs = after

    @property
    def display(self) -> list[str]:
        columns = range(self.columns)
        buffer = (self.buffer[line] for line in range(self.lines))
        rows = ["".join([row[column].data for column in columns]) for row in buffer]
        if max(map(wcwidth, set("".join(rows)))) > 1 or {*map(len, rows)} != {self.columns}:
            return super().display  # characters of two columns, or of more than one sign
        return rows


class Stream(pyte.ByteStream):
    """A stream that knows a style and a place of the cursor as a whole."""

    def __init__(self, screen: Screen) -> None:
        super().__init__(screen)
        self._screen = screen

    def feed(self, data: bytes) -> None:  # type: ignore[override]
        text, at = self.utf8_decoder.decode(data), 0
        for found in _STYLE_OR_CURSOR.finditer(text):
            if found.start() > at:
                self._feed(text[at : found.start()])
            at = found.end()
            if not self._taking_plain_text:  # within another sequence
                self._feed(found[0])
                continue
            numbers = [min(int(each or 0), _LARGEST) for each in found[1].split(";")]
            if found[2] == "m":
                self._screen.select_graphic_rendition(*numbers)
            else:
                self._screen.cursor_position(*numbers)
        if at < len(text):
            self._feed(text[at:])

    def _feed(self, text: str) -> None:
        pyte.Stream.feed(self, text)
