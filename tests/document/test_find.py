"""Find and replace in a text."""

from hypothesis import given
from hypothesis import strategies as st

from gptterm.document.find import find, next_place, replaced


def test_capitals_matter_only_where_they_are_written() -> None:
    assert find("The the THE", "the") == [(0, 3), (4, 7), (8, 11)]
    assert find("The the THE", "The") == [(0, 3)]
    assert find("a.b axb", "a.b") == [(0, 3)]
    assert find("aaa", "aa") == [(0, 2)]
    assert find("text", "") == []


def test_after_the_last_place_comes_the_first() -> None:
    places = [(0, 1), (4, 5)]
    assert [next_place(places, at) for at in (0, 1, 4, 5)] == [0, 1, 1, 0]


@given(
    st.text("abA", max_size=12), st.text("ab", min_size=1, max_size=2), st.text("xA", max_size=3)
)
def test_one_change_replaces_all(text: str, wanted: str, new: str) -> None:
    places = find(text, wanted)
    if places:
        start, end, changed = replaced(text, places, new)
        kept = text[:start] + changed + text[end:]
        assert kept.replace("a", "A").replace("b", "B") == text.upper().replace(
            wanted.upper(), new.replace("a", "A")
        )
