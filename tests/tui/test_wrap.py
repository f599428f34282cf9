"""Text to rows: nothing is lost, nothing is too wide, and growing text wraps like whole text."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from gptterm.terminal import display_text
from gptterm.tui.widgets.transcript.lines import plain_lines
from gptterm.tui.widgets.transcript.turn_view import TurnView
from gptterm.tui.widgets.transcript.wrap import wrap

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
        text = piece + "\n" if piece.endswith("-") else piece
        grown.append(plain_lines(display_text(text)))
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


def test_the_start_imports_nothing_heavy() -> None:
    """The static graph of imports does not see what is imported lazily."""
    code = "import sys, gptterm.tui.app; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    heavy = {"torch", "transformers", "numpy", "huggingface_hub", "pygments", "markdown_it"}
    assert not loaded & (heavy | {"tokenizers", "tree_sitter", "click"})
