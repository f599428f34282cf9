"""Layout of a tinted text in lines, token by token."""

import re
from collections.abc import Iterator

from rich.cells import chop_cells

from gptterm.charts.cells import text_in_line
from gptterm.charts.figure import TintedToken
from gptterm.charts.runs import Line, Run, Tone, line_width
from gptterm.charts.scales import RAMP, Scale

LEAST_WIDTH = 8
_WORD_START = re.compile(r"[\s\u1100-\U0010ffff]")
"""Beginning of a text before which a line may be broken: white space, or a wide character."""


class Flow:
    """Incremental layout: lines come out as they are complete, so that memory stays flat.

    Lines are broken between words, within one only if it is longer than a line. A token that ends a
    line of the text ends one here.

    Args:
        width: cells of a line.
        scale: of the tokens' values; None: neighbours alternate between two tints.
        ramp: signs instead of colours.
    """

    def __init__(self, width: int, scale: Scale | None, *, ramp: bool = False) -> None:
        self._width = max(width, LEAST_WIDTH)
        self._scale = scale
        self._ramp = ramp
        self._line: Line = []
        self._word: Line = []
        self._count = 0

    def push(self, token: TintedToken) -> Iterator[Line]:
        """Add a token; yield the lines that are complete."""
        for run, ends_line in self._runs(token):
            if _WORD_START.match(run.text):
                yield from self._end_word()
            self._word.append(run)
            if ends_line:
                yield from self._end_word()
                yield self._end_line()
            elif line_width(self._word) > self._width:
                yield from self._end_word()

    def finish(self) -> Iterator[Line]:
        """Yield the rest."""
        yield from self._end_word()
        if self._line:
            yield self._end_line()

    def _runs(self, token: TintedToken) -> Iterator[tuple[Run, bool]]:
        """The token's runs, and whether each ends a line."""
        step = self._step(token)
        tone: Tone = "marked" if token.marked else "plain"
        *lines, rest = token.piece.split(b"\n")
        texts = [text_in_line(line + b"\n") for line in lines]
        if rest or not texts:
            texts.append(text_in_line(rest))
        for number, text in enumerate(texts):
            is_line = number < len(lines)
            if self._ramp and number == len(texts) - 1:
                text += self._sign(step)
            run = Run(text, None if self._ramp else step, tone, note=token.note)
            yield run, is_line
        self._count += 1

    def _step(self, token: TintedToken) -> int | None:
        if self._scale is None:
            return 1 + 2 * (self._count % 2)
        return self._scale.step(token.value)

    def _sign(self, step: int | None) -> str:
        if self._scale is None:
            return "│"
        return " " if step is None else RAMP[step]

    def _end_word(self) -> Iterator[Line]:
        word, self._word = self._word, []
        if self._line and line_width(self._line) + line_width(word) > self._width:
            yield self._end_line()
            # The break stands for the space.
            if word[0].text.startswith(" ") and word[0].width > 1:
                word[0] = word[0]._replace(text=word[0].text[1:])
        if line_width(word) <= self._width:
            self._line += word
            return
        for run in word:
            for text in chop_cells(run.text, self._width):
                part = run._replace(text=text)
                if self._line and line_width(self._line) + part.width > self._width:
                    yield self._end_line()
                self._line.append(part)

    def _end_line(self) -> Line:
        line, self._line = self._line, []
        return line
