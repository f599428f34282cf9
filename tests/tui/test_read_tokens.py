"""Tokens of a text that is longer than what the model reads at once."""

import string

import hypothesis.strategies as st
from hypothesis import given
from msgspec.structs import replace

from gptterm.document.tree import Document
from gptterm.tui.state.read_tokens import ReadTokens
from tests.document.test_tree import INFO, written


def read(
    kept: ReadTokens, document: Document, start: int, stop: int, size: int, scores: int = 0
) -> None:
    """Have a model read a stretch in tokens of a size, each of 2 bits if it is scored."""
    ends = [min(at + size, stop) for at in range(start, stop, size)]
    kept.add(INFO, document.text, (start, stop), ends, [2.0] * scores)


def bits(kept: ReadTokens, document: Document, start: int, end: int) -> list[tuple[float, ...]]:
    return [tuple(each) for each in kept.scored(INFO, document.text, start, end)]


def test_what_was_read_keeps_its_count_wherever_the_cursor_is() -> None:
    document, kept = Document(), ReadTokens()
    document.replace(0, 0, "x" * 1000)
    read(kept, document, 0, 100, 5)
    assert kept.estimate(document, 0, 1000) == 200
    # A stretch with more tokens: they are its own, and a part of the rate.
    read(kept, document, 900, 1000, 2)
    found = kept.estimate(document, 0, 1000)
    assert found == 20 + 50 + round(800 * 70 / 200)
    assert kept.estimate(document, 900, 1000) == 50
    # The cursor is back at the beginning, and halfway there.
    read(kept, document, 0, 100, 5)
    assert kept.estimate(document, 0, 1000) == found
    read(kept, document, 50, 150, 5)
    assert kept.estimate(document, 0, 150) == 30
    # An edit leaves the counts around it; what is new is estimated until it is read.
    document.replace(950, 950, "yyyy")
    assert kept.estimate(document, 900, 1004) == 50 + round(4 * 80 / 250)
    # Another model has other tokens.
    kept.add(replace(INFO, name="other"), document.text, (0, 100), [50, 100])
    assert kept.estimate(document, 0, 1004) == 2 + round(904 * 2 / 100)


def test_what_a_model_writes_changes_the_estimate_of_the_rest_by_nothing() -> None:
    document, kept = Document(), ReadTokens()
    document.replace(0, 0, "x" * 1000)
    read(kept, document, 900, 1000, 5)
    assert kept.estimate(document, 0, 1000) == 200
    written(document, 1000, [0, 1] * 20)  # tokens of 1.5 characters
    grown = kept.estimate(document, 0, 1060)
    assert grown == 240
    # The same once they are read.
    ends = [*range(905, 1001, 5), *(1000 + 3 * at // 2 for at in range(1, 41))]
    kept.add(INFO, document.text, (900, 1060), ends)
    assert kept.estimate(document, 0, 1060) == grown
    # Where there is nothing else, they are what is known.
    document.replace(0, 1000, "")
    document.replace(0, 0, "z" * 60)
    assert kept.estimate(document, 0, 120) == 80


def test_scores_stay_with_their_tokens() -> None:
    document, kept = Document(), ReadTokens()
    document.replace(0, 0, string.printable)
    read(kept, document, 0, 40, 4, scores=10)
    read(kept, document, 60, 100, 4, scores=5)
    assert bits(kept, document, 0, 100) == [(0, 40, 20.0, 10), (60, 80, 10.0, 5)]
    # Whole tokens only.
    assert bits(kept, document, 2, 70) == [(4, 40, 18.0, 9), (60, 68, 4.0, 2)]
    assert bits(kept, document, 42, 59) == []
    # Within a token, and before another.
    document.replace(18, 18, "yy")
    assert bits(kept, document, 0, 102) == [(0, 16, 8.0, 4), (22, 42, 10.0, 5), (62, 82, 10.0, 5)]
    document.replace(0, 64, "")
    assert bits(kept, document, 0, 38) == [(2, 18, 8.0, 4)]
    # The first token of a text follows nothing.
    kept.add(INFO, document.text, (0, 38), [2, 20, 38], [None, 1.0])
    assert bits(kept, document, 0, 38) == [(2, 20, 1.0, 1)]
    assert list(kept.scored(replace(INFO, name="other"), document.text, 0, 38)) == []


STEPS = st.tuples(st.sampled_from(["read", "edit"]), st.integers(0, 40), st.integers(0, 40))


@given(st.lists(STEPS, max_size=12))
def test_stretches_stay_apart_and_in_place(steps: list[tuple[str, int, int]]) -> None:
    """Each character is a token of 2 bits: whatever was read, the count of all is right."""
    document, kept = Document(), ReadTokens()
    document.replace(0, 0, "x" * 20)
    read(kept, document, 3, 9, 1, 6)
    for what, one, other in steps:
        start, stop = sorted((min(one, len(document.text)), min(other, len(document.text))))
        if what == "read" and start < stop:
            read(kept, document, start, stop, 1, stop - start)
            assert bits(kept, document, start, stop) == [
                (start, stop, 2.0 * (stop - start), stop - start)
            ]
        elif what == "edit":
            document.replace(start, stop, "abc"[: one % 4])
        length = len(document.text)
        found = bits(kept, document, 0, length)
        assert all(each[2] == 2.0 * each[3] == 2.0 * (each[1] - each[0]) for each in found)
        assert kept.estimate(document, 0, length) == (length if found else 0)
        edges = [edge for each in found for edge in each[:2]]
        assert edges == sorted(edges)
        assert not edges or edges[-1] <= length
