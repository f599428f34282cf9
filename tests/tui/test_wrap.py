"""Text to rows: nothing is lost, nothing is too wide, and growing text wraps like whole text."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gptterm.tui.widgets.transcript.lines import Line, Span
from gptterm.tui.widgets.transcript.markdown import code_blocks, inline, markdown_lines
from gptterm.tui.widgets.transcript.turn_view import TurnView
from gptterm.tui.widgets.transcript.wrap import display_text, wrap

TEXTS = st.text(alphabet="ab  .。漢字é\u0301\U0001f469x\u200d\U0001f1eb\t-", max_size=80)


@given(TEXTS, st.integers(2, 14))
def test_rows_fit_and_keep_every_character(text: str, width: int) -> None:
    shown = display_text(text)
    rows = wrap(shown, width)
    assert rows
    assert all(cell_len(shown[start:end]) <= width for start, end in rows)
    kept = "".join(shown[start:end] for start, end in rows)
    assert kept.replace(" ", "") == shown.replace(" ", "")


@given(st.lists(TEXTS, max_size=8), st.integers(2, 14))
def test_growing_text_wraps_like_whole_text(pieces: list[str], width: int) -> None:
    # A combining character that comes alone joins the one before it, as in the whole text.
    grown = TurnView("1", "assistant", "gpt2")
    grown.layout(width)
    for piece in pieces:
        grown.append(piece + "\n" if piece.endswith("-") else piece)
    whole = "".join(piece + "\n" if piece.endswith("-") else piece for piece in pieces)
    fresh = TurnView("2", "assistant", "gpt2", whole)
    fresh.layout(width)
    assert [line.text for line in grown.lines] == [line.text for line in fresh.lines]
    assert all(cell_len(grown.row_text(row)) <= width for row in range(len(grown.rows)))
    texts = [
        "".join(view.row_text(row) for row in range(len(view.rows))) for view in (grown, fresh)
    ]
    assert texts[0].replace(" ", "") == texts[1].replace(" ", "")


def test_words_break_at_spaces_and_long_ones_at_the_edge() -> None:
    text = "the quick brown " + "x" * 12
    assert [text[a:b] for a, b in wrap(text, 9)] == ["the quick", "brown", "x" * 9, "xxx"]


def test_chinese_breaks_anywhere_but_before_a_full_stop() -> None:
    text = "月は地球の衛星です。"
    assert [text[a:b] for a, b in wrap(text, 6)] == ["月は地", "球の衛", "星で", "す。"]


def test_controls_become_signs() -> None:
    assert display_text("a\x1b[1m\x9b\u202e\tb\u200d") == "a␛[1m‹009B›‹202E›    b"


def test_inline_marks() -> None:
    assert inline("a **b *c*** `d*` e") == (
        "a b c d* e",
        (Span(2, 5, "strong"), Span(4, 5, "emphasis"), Span(6, 8, "code")),
    )
    assert inline("2*3*4 snake_case_name [red]") == ("2*3*4 snake_case_name [red]", ())


@given(st.text(alphabet="#*_`-|>[]()~ \nab1.:", max_size=200), st.integers(0, 30))
def test_no_markdown_is_too_odd(source: str, width: int) -> None:
    lines = markdown_lines(source, width)
    assert lines
    assert all(0 <= s.start <= s.end <= len(line.text) for line in lines for s in line.spans)


def test_half_a_fence_is_code_to_the_end_and_half_a_table_is_text() -> None:
    assert markdown_lines("| a | b")[0] == Line("| a | b")
    assert code_blocks("x\n```py\ny = 1\n") == ["y = 1\n"]


TABLE = """| model | size | 速度 |
|:--|--:|:-:|
| gpt2 | 124M | `fast`, it has been said \\| proved |
| gpt2-xl | 1.5B | slow |"""


def texts(source: str, width: int) -> list[str]:
    return [line.text for line in markdown_lines(source, width)]


def test_a_table_as_wide_as_its_cells_where_there_is_room() -> None:
    assert texts(TABLE, 80) == [
        "model    size               速度",
        "───────  ────  ───────────────────────────────",
        "gpt2     124M  fast, it has been said | proved",
        "gpt2-xl  1.5B               slow",
    ]
    assert texts(TABLE, 0) == texts(TABLE, 80)


def test_the_widest_column_of_a_table_gives_way_and_no_word_is_lost() -> None:
    rows = texts(TABLE, 30)
    assert rows == [
        "model    size       速度",
        "───────  ────  ───────────────",
        "gpt2     124M   fast, it has",
        "                 been said |",
        "                   proved",
        "gpt2-xl  1.5B       slow",
    ]
    assert max(map(cell_len, rows)) == 30
    (code,) = [s for s in markdown_lines(TABLE, 30)[2].spans if s.style == "code"]
    assert rows[2][code.start : code.end] == "fast"


@given(st.lists(st.text("ab 速", max_size=30), min_size=1, max_size=5), st.integers(30, 80))
def test_every_table_fits(cells: list[str], width: int) -> None:
    row = f"| {' | '.join(cells)} |"
    rule = "|" + "---|" * len(cells)
    lines = texts(f"{row}\n{rule}\n{row}", width)
    assert all(cell_len(line) <= width for line in lines)
    shown = "".join("".join(lines).replace("─", "").split())
    # Wrapped cells stand beside each other: the characters are there, in another order.
    assert sorted(shown) == sorted(2 * "".join(cells).replace(" ", ""))


def test_a_table_is_laid_out_anew_for_another_width() -> None:
    view = TurnView("k", "assistant", "gpt2")
    view.set_text(TABLE, markdown=True)
    view.layout(60)
    wide = [view.row_text(row) for row in range(len(view.rows))]
    view.layout(30)
    assert len(view.rows) == 6
    view.layout(60)
    assert [view.row_text(row) for row in range(len(view.rows))] == wide


def test_the_start_imports_nothing_heavy() -> None:
    """The static graph of imports does not see what is imported lazily."""
    code = "import sys, gptterm.tui.app; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    heavy = {"torch", "transformers", "numpy", "huggingface_hub", "pygments", "markdown_it"}
    assert not loaded & (heavy | {"tokenizers", "tree_sitter", "click"})
