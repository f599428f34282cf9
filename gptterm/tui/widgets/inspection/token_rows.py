"""Layout of a text's tokens in rows of a width: which token is where."""

from array import array
from bisect import bisect_right
from collections.abc import Sequence

from rich.cells import cell_len

from gptterm.charts.cells import fit, text_in_line


class TokenRows:
    """Tokens in rows, broken between words; a token that ends a line of the text ends a row.

    Args:
        pieces: bytes of the tokens.
        width: cells of a row.
        spare: cells after each token, for a sign.
    """

    def __init__(self, pieces: Sequence[bytes], width: int, spare: int = 0) -> None:
        self.texts: list[str] = []
        """Texts of the tokens, as they are drawn."""
        self._firsts = array("I", [0])
        self._columns = array("I")
        self._rows = array("I")
        width = max(1, width)
        known: dict[bytes, tuple[str, int]] = {}
        word = column = 0  # the word's first token, and the column behind it
        for index, piece in enumerate(pieces):
            if (shown := known.get(piece)) is None:
                text = text_in_line(piece)
                cells = min(cell_len(text), width - spare)
                shown = known[piece] = (fit(text, cells), cells + spare)
            text, cells = shown
            if text.startswith(" "):
                word = index
            while column + cells > width and column:
                begin = word if word > self._firsts[-1] else index
                column -= self._break(begin, index, column)
                word = begin
            self.texts.append(text)
            self._columns.append(column)
            self._rows.append(len(self._firsts) - 1)
            column += cells
            if b"\n" in piece:
                self._firsts.append(index + 1)
                word, column = index + 1, 0

    def _break(self, begin: int, end: int, column: int) -> int:
        """Begin a row with token `begin`; return the cells that the row before keeps.

        Args:
            end: the first token that has no place yet, at `column`.
        """
        self._firsts.append(begin)
        kept = self._columns[begin] if begin < end else column
        for index in range(begin, end):
            self._columns[index] -= kept
            self._rows[index] += 1
        return kept

    def __len__(self) -> int:
        return len(self._firsts)

    def tokens(self, row: int) -> range:
        """The tokens of a row."""
        end = self._firsts[row + 1] if row + 1 < len(self._firsts) else len(self.texts)
        return range(self._firsts[row], end)

    def row_of(self, token: int) -> int:
        """The row of a token; behind the last one, the last row."""
        return self._rows[token] if token < len(self._rows) else len(self._firsts) - 1

    def column_of(self, token: int) -> int:
        """The column of a token."""
        return self._columns[token] if token < len(self._columns) else 0

    def token_at(self, row: int, column: int) -> int:
        """The token at a place, or the nearest one of the row."""
        tokens = self.tokens(min(max(row, 0), len(self) - 1))
        columns = [self._columns[token] for token in tokens]
        at = bisect_right(columns, column) - 1
        return tokens[max(at, 0)] if len(tokens) else tokens.start
