"""Words of a text, counted again where it has changed."""

from hypothesis import given
from hypothesis import strategies as st

from gptterm.document.words import changed_count

TEXTS = st.text("a b\n", max_size=12)


@given(TEXTS, TEXTS)
def test_changed_count_is_that_of_the_whole_text(old: str, new: str) -> None:
    assert changed_count(old, len(old.split()), new) == len(new.split())
