"""Nothing that a terminal obeys gets through; everything else does."""

import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from gptterm.terminal import cluster_at, is_dumb, one_line, printable

ANY_TEXT = st.text(st.characters())


@given(ANY_TEXT)
def test_no_control_gets_through_and_the_rest_stays(text: str) -> None:
    shown = printable(text)
    for character in shown:
        assert character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cs")
        assert unicodedata.bidirectional(character) not in _EMBEDDINGS
    shown.encode()
    kept = [c for c in text if printable(c) == c]
    remaining = iter(shown)
    assert all(character in remaining for character in kept)


_EMBEDDINGS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@given(ANY_TEXT, ANY_TEXT)
def test_a_stream_may_be_cut_anywhere(first: str, second: str) -> None:
    assert printable(first) + printable(second) == printable(first + second)


def test_examples() -> None:
    assert printable("\x1b[2J\x07\r\n\tx\x7f") == "␛[2J␇␍\n\tx␡"
    assert printable("\x9b31m\u202eevil\u061c\u200f") == "‹009B›31m‹202E›evil‹061C›‹200F›"
    assert printable("a\ud800b") == "a\ufffdb"
    family = "👩‍👩‍👧 שלום क्‍ष e\u0301 人工智能"
    assert printable(family) is family or printable(family) == family


@given(ANY_TEXT)
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


@pytest.mark.parametrize(
    ("term", "dumb"), [(None, True), ("", True), ("dumb", True), ("xterm", False)]
)
def test_a_terminal_without_a_name_is_dumb(
    monkeypatch: pytest.MonkeyPatch, term: str | None, dumb: bool
) -> None:
    monkeypatch.delenv("TERM", raising=False)
    if term is not None:
        monkeypatch.setenv("TERM", term)
    assert is_dumb() is dumb


FAMILY, FLAG, ACCENT, HAND = "👩\u200d👩\u200d👧", "🇩🇪", "e\u0301", "👍🏽"


@pytest.mark.parametrize("cluster", [FAMILY, FLAG, ACCENT, HAND, "1\ufe0f\u20e3", "각", "नि"])
@pytest.mark.parametrize("before", ["", "ab ", "日本", FLAG, HAND * 9])
def test_places_inside_of_a_cluster(cluster: str, before: str) -> None:
    line, start = f"{before}{cluster} d", len(before)
    end = start + len(cluster)
    for column in range(start + 1, end):
        assert cluster_at(line, column) == (start, end)
    for column in (start, end, end + 1, len(line)):
        assert cluster_at(line, column) == (column, column)


@given(st.text(st.sampled_from([*FAMILY, *FLAG, *ACCENT, *HAND, "a", " ", "日", "\u200c"])))
def test_clusters_are_those_of_the_line_from_its_beginning(line: str) -> None:
    inside = {
        column: match.span()
        for match in regex.finditer(r"\X", line)
        for column in range(match.start() + 1, match.end())
    }
    for column in range(min(len(line), 60) + 1):
        assert cluster_at(line, column) == inside.get(column, (column, column))
