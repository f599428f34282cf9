"""Packed lines are the lines that were packed."""

from hypothesis import given
from hypothesis import strategies as st

from gptterm.tui.widgets.transcript.lines import Line, Span
from gptterm.tui.widgets.transcript.packed_lines import PackedLines

STYLES = st.sampled_from(["strong", "code", "tint-3"])
SPANS = st.lists(st.builds(Span, st.integers(0, 9), st.integers(0, 9), STYLES), max_size=3)
INDENTS = st.sampled_from(["", "• ", "▎ "])
LINES = st.lists(
    st.builds(
        Line, st.text("a漢\n ", max_size=5), SPANS.map(tuple), INDENTS, INDENTS,
        st.sampled_from(["", "code-block"]),
    ),
    max_size=6,
)  # fmt: skip


@given(LINES)
def test_nothing_is_lost(lines: list[Line]) -> None:
    packed = PackedLines(lines)
    assert list(packed) == lines
    assert [packed[i - len(lines)] for i in range(len(lines))] == lines
    assert packed[1:] == lines[1:]
