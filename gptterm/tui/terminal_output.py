"""Terminal output: columns that stay, whatever width the terminal gives to a character.

Terminals disagree about the width of combining marks that take space (in Indic scripts and
Burmese), of emoji, and of whatever is newer than their tables. A word with such a character is
drawn over blanks of the width that it is taken to have, and the cursor is then placed where the
next one belongs: a wrong width cannot move the borders to the right of it.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache

from rich import _unicode_data, cells

# All terminals agree about these: alphabets, arrows, box drawing, Chinese, Japanese, Korean.
_AGREED = (
    "\x20-\x7e\xa0-\xac\xae-\u02ff\u0370-\u0482\u048a-\u0587\u1e00-\u1fff\u2010-\u2027\u2030-\u205e"
    "\u2070-\u20cf\u2100-\u2319\u231c-\u23e8\u23f4-\u25fc\u2713\u2717\u2800-\u28ff\u3001-\u3029"
    "\u3041-\u3096\u309b-\u30ff\u3400-\ua4cf\uac00-\ud7a3\uff01-\uffe6"
)
_DOUBTFUL = re.compile(f"[^{_AGREED}\x00-\x1f]")
_DOUBTFUL_WORD = f"([^ ]*[^{_AGREED}][^ ]*)"
_PARTS = (
    r"(?s)\x1b\[(?P<numbers>[\d;]*)(?P<final>[A-HGf])"
    r"|(?P<other>\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]P^_][^\x07\x1b]*(?:\x07|\x1b\\)?|.)|[\x00-\x1f])"
    r"|(?P<text>[^\x00-\x1f]+)"
)
# These are compiled where they are used first: few screens have such words.


def hold_columns(data: str) -> str:
    """The same output with the cursor placed after each word of doubtful width.

    Args:
        data: Text and control sequences, beginning at an unknown column.
    """
    if not _DOUBTFUL.search(data):
        return data
    written: list[str] = []
    column: int | None = None
    for part in re.finditer(_PARTS, data):
        text = part["text"]
        if text is None:
            written.append(part[0])
            column = _moved(column, part)
        elif column is None:
            written.append(text)
        else:
            for word in re.split(_DOUBTFUL_WORD, text):
                width = cells.cell_len(word)
                if _DOUBTFUL.search(word):
                    word = f"{' ' * width}{_to(column)}{word}{_to(column + width)}"
                written.append(word)
                column += width
    return "".join(written)


def _to(column: int) -> str:
    return f"\x1b[{column + 1}G"


def _moved(column: int | None, part: re.Match[str]) -> int | None:
    """The column after a control sequence, counted from 0; None if it is not known."""
    if part["other"] is not None:
        return 0 if part["other"] in "\r\n" else column
    numbers = part["numbers"].split(";")
    last = int(numbers[-1] or 1)
    match part["final"]:
        case "H" | "f":
            return last - 1 if len(numbers) > 1 else 0
        case "G":
            return last - 1
        case "C" if column is not None:
            return column + last
        case "D" if column is not None:
            return max(0, column - last)
        case "A" | "B":
            return column
    return None


WIDTHS_KEPT = 512
"""Texts whose width is remembered: a screenful. Rich remembers 4,096, which are 1 MB."""


@cache
def count_spacing_marks() -> None:
    """Have Rich count combining marks that take space as one cell, and forget widths sooner.

    The marks' width is that of `wcwidth`, which tmux, xterm and the terminals of VTE draw; others
    need less, never more.
    """
    load = _unicode_data.load

    @cache
    def load_with_marks(unicode_version: str = "auto") -> cells.CellTable:
        table = load(unicode_version)
        return table._replace(widths=tuple(_with_marks(table.widths)))

    cells.load_cell_table = load_with_marks  # type: ignore[attr-defined]
    cells.get_character_cell_size.cache_clear()
    cells.cached_cell_len = lru_cache(WIDTHS_KEPT)(cells.cached_cell_len.__wrapped__)


def _with_marks(widths: Sequence[tuple[int, int, int]]) -> Iterator[tuple[int, int, int]]:
    for start, end, width in widths:
        if width:
            yield start, end, width
            continue
        for code in range(start, end + 1):
            if unicodedata.category(chr(code)) == "Mc":
                if start < code:
                    yield start, code - 1, 0
                start = code + 1
        if start <= end:
            yield start, end, 0
