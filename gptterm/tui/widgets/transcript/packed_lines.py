"""Packed lines: those of a finished turn in one string and two arrays."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import overload

from gptterm.tui.widgets.transcript.lines import Line, Span

_FIELDS = 4
"""Numbers of a span: its line, start, end and style."""
_NO_SPANS = array("I")
_STYLES: list[str] = []
"""Names of the styles of all packed spans: a few dozen."""
_STYLE_NUMBERS: dict[str, int] = {}


def _style_number(name: str) -> int:
    if (number := _STYLE_NUMBERS.get(name)) is None:
        number = _STYLE_NUMBERS[name] = len(_STYLES)
        _STYLES.append(name)
    return number


class PackedLines(Sequence[Line]):
    """Lines that are made when they are asked for.

    As objects, those of a reply of 500 characters take 3 KB, packed 0.8 KB; a chat keeps all of
    its turns, and draws a screenful.
    """

    __slots__ = ("_ends", "_formats", "_kinds", "_spans", "_text")

    def __init__(self, lines: Iterable[Line]) -> None:
        texts: list[str] = []
        self._ends = array("I")
        """Where each line ends in the text."""
        spans = array("I")
        kinds = array("I")
        formats: dict[tuple[str, str, str], int] = {}
        end = 0
        for number, line in enumerate(lines):
            texts.append(line.text)
            end += len(line.text)
            self._ends.append(end)
            look = line.initial_indent, line.subsequent_indent, line.style
            kinds.append(formats.setdefault(look, len(formats)))
            for start, stop, style in line.spans:
                spans.extend((number, start, stop, _style_number(style)))
        self._text = "".join(texts)
        self._spans = spans or _NO_SPANS
        self._formats = tuple(formats)
        """Indents and style of the lines, each combination once."""
        self._kinds = kinds if len(formats) > 1 else None
        """Index of each line's format; None: all have the first."""

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> Line: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Line]: ...
    def __getitem__(self, index: int | slice) -> Line | Sequence[Line]:
        """Return a line, or several."""
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        number = index + len(self) if index < 0 else index
        end = self._ends[number]
        text = self._text[self._ends[number - 1] if number else 0 : end]
        initial, subsequent, style = self._formats[
            0 if self._kinds is None else self._kinds[number]
        ]
        return Line(text, tuple(self._spans_of(number)), initial, subsequent, style)

    def _spans_of(self, line: int) -> Iterator[Span]:
        spans = self._spans
        count = len(spans) // _FIELDS
        at = bisect_left(range(count), line, key=lambda each: spans[_FIELDS * each])
        while at < count and spans[_FIELDS * at] == line:
            _, start, end, style = spans[_FIELDS * at : _FIELDS * (at + 1)]
            yield Span(start, end, _STYLES[style])
            at += 1
