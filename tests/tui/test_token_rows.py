"""Rows of Inspect mode's text: every token has a place, and every place a token."""

import random

from rich.cells import cell_len

from gptterm.tui.widgets.inspection.token_rows import TokenRows


def drawn(pieces: list[bytes], width: int) -> list[str]:
    rows = TokenRows(pieces, width)
    return ["".join(rows.texts[i] for i in rows.tokens(row)) for row in range(len(rows))]


def test_rows_break_between_words_and_at_lines() -> None:
    assert drawn([b"one", b" two", b" th", b"ree", b"\n", b"\n", b"end"], 9) == [
        "one two", " three↵", "↵", "end",
    ]  # fmt: skip
    assert drawn([b"a", b"long", b"word"], 6) == ["along", "word"]
    assert drawn([b" internationally", b"!"], 8) == [" intern…", "!"]
    assert drawn([b"\xe6\xbc", b"\xa2", b"x"], 20) == ["<E6 BC><A2>x"]
    assert drawn([], 9) == [""]


def test_any_tokens_at_any_width() -> None:
    rng = random.Random(1)
    pieces = [rng.choice([b" a", b"b", b" word", b"\n", b"  ", "漢字".encode(), b"\xff", b""])
              for _ in range(400)]  # fmt: skip
    for width in (1, 5, 17, 80):
        rows = TokenRows(pieces, width)
        assert [i for row in range(len(rows)) for i in rows.tokens(row)] == list(range(400))
        for row in range(len(rows)):
            column = 0
            for token in rows.tokens(row):
                assert rows.row_of(token) == row
                assert rows.column_of(token) == column
                cells = cell_len(rows.texts[token])
                assert not cells or rows.token_at(row, column) == token
                column += cells
            assert column <= width
