"""The stretch in which two texts differ."""

from hypothesis import given
from hypothesis import strategies as st

from gptterm.document.stretches import changed_stretch

TEXTS = st.text("ab", max_size=12)


@given(TEXTS, TEXTS)
def test_the_stretch_makes_one_of_the_other_and_is_the_shortest(old: str, new: str) -> None:
    start, end, text = changed_stretch(old, new)
    assert 0 <= start <= end <= len(old)
    assert old[:start] + text + old[end:] == new
    if old == new:
        assert start == end
        assert text == ""
    elif start < end and text:
        assert old[start] != text[0]
        assert old[end - 1] != text[-1]


def test_of_long_texts() -> None:
    text = "".join(chr(97 + number % 26) for number in range(70_000))
    for place in (0, 1, 16_383, 16_384, 40_000, 69_998, 69_999):
        changed = f"{text[:place]}XY{text[place + 1 :]}"
        assert changed_stretch(text, changed) == (place, place + 1, "XY")
        assert changed_stretch(changed, text) == (place, place + 2, text[place])
    assert changed_stretch(text, text) == (70_000, 70_000, "")
