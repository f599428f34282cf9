"""Rows and columns of continuations, and of the map: no number is cut."""

import re

import pytest
from rich.cells import cell_len

from gptterm.charts.cells import fit_parts
from gptterm.document.branches import Branch
from gptterm.tui.widgets.continuations import Continuation, Continuations
from gptterm.tui.widgets.version_map import _label

ROWS = [
    Continuation(" one day", 8, False, 8274.6),
    Continuation(" and then", 1024, False, 8_274_600.0),
    Continuation(" so", 3, True, None),
    Continuation(" or", 1, False, 2.0),
]
PARTS = {"8 tokens", "1,024 tokens", "1 token", "ppl 8,270", "ppl 8.27e6", "ppl 2", "writing …"}


def drawn(widget: Continuations, y: int, width: int) -> str:
    return "".join(text for text, _ in widget.row(y, width))


@pytest.mark.parametrize("in_columns", [False, True])
@pytest.mark.parametrize("width", [4, 12, 20, 29, 30, 38, 56, 60, 100, 200])
def test_numbers_of_continuations_are_whole(width: int, in_columns: bool) -> None:
    widget = Continuations(lambda _: None, lambda _: None, lambda _: None)
    widget.show(ROWS, 0)
    widget._in_columns = in_columns
    rows = 1 if in_columns else len(ROWS)
    lines = [drawn(widget, y, width) for y in range(rows)]
    assert all(cell_len(line) <= width for line in lines)
    for line in lines if width >= 20 else ():
        shown = re.findall(r"[\d.,]+ tokens?|ppl \S+|writing …", line)
        assert shown
        assert set(shown) <= PARTS
    if width >= 60 and not in_columns:
        ends = ("8 tokens · ppl 8,270", "1,024 tokens · ppl 8.27e6", "writing …", "1 token · ppl 2")
        assert all(line.endswith(end) for line, end in zip(lines, ends, strict=True))


def test_numbers_of_a_branch_are_whole() -> None:
    branch = Branch("a", "a", 1, "", "text", 1234, 9, 13.0145, True, True)
    found = [str(_label(branch, width)).split("\n")[1] for width in (60, 35, 26, 16)]
    assert found == [
        "    1,234 words · ppl 8,270 · 13.01 bits",
        "    1,234 words · ppl 8,270",
        "    1,234 words",
        "    1,234 words",
    ]


def test_parts_that_do_not_fit_are_left_out() -> None:
    found = [fit_parts(("12 words", "3 tokens"), width) for width in (19, 18, 8, 7, 0)]
    assert found == ["12 words · 3 tokens", "12 words", "12 words", "12 wor…", ""]
    assert fit_parts((), 9) == ""
