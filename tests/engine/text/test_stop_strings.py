"""Stop texts: independent of how the stream is cut, and nothing is held back without a reason."""

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gptterm.engine.text.stop_strings import StopMatcher

# Few letters, so that stops appear, overlap and contain each other often.
texts = st.text("abc", max_size=40)
stop_sets = st.lists(st.text("abc", min_size=1, max_size=5), max_size=4)


def expected(text: str, stops: list[str]) -> tuple[str, str | None]:
    """The rule, character by character: what is shown, and which stop text ended it."""
    for end in range(1, len(text) + 1):
        complete = [stop for stop in stops if text[:end].endswith(stop)]
        if complete:
            longest = max(complete, key=len)
            return text[: end - len(longest)], longest
    return text, None


def cut(text: str, places: list[int]) -> list[str]:
    """The text in pieces; some may be empty."""
    edges = [0, *sorted(min(place, len(text)) for place in places), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


def run(stops: list[str], pieces: list[str]) -> tuple[str, str | None]:
    matcher = StopMatcher(stops)
    shown = "".join([matcher.push(piece) for piece in pieces]) + matcher.flush()
    return shown, matcher.matched


@given(texts, stop_sets, st.lists(st.integers(0, 40), max_size=12))
@example("abcd", ["abcd", "bc"], [3])
@example("abcx", ["abcd", "bc"], [3])
@example("xab", ["ab", "xab"], [])
@example("abc", ["abc", "ab"], [1, 2])
def test_the_result_does_not_depend_on_the_cuts(
    text: str, stops: list[str], places: list[int]
) -> None:
    assert run(stops, cut(text, places)) == expected(text, stops)


@given(texts.filter(lambda text: len(text) <= 10), stop_sets)
def test_every_single_cut_and_all_at_once(text: str, stops: list[str]) -> None:
    wanted = expected(text, stops)
    assert run(stops, list(text)) == wanted
    for place in range(len(text) + 1):
        assert run(stops, [text[:place], text[place:]]) == wanted


@given(texts, stop_sets)
@example("a", ["b", "aba"])
def test_only_the_longest_suffix_that_may_become_a_stop_text_is_held_back(
    text: str, stops: list[str]
) -> None:
    matcher = StopMatcher(stops)
    shown = "".join([matcher.push(char) for char in text])
    if matcher.matched is None:
        possible = [start for start in range(len(text)) if may_stop_at(text, start, stops)]
        assert shown == text[: min(possible, default=len(text))]


def may_stop_at(text: str, start: int, stops: list[str]) -> bool:
    """Whether some continuation of the text is ended by a stop text that begins at `start`."""
    begun = text[start:]
    return any(
        expected(text + stop[len(begun) :], stops) == (text[:start], stop)
        for stop in stops
        if stop.startswith(begun) and stop != begun
    )


@given(st.text(max_size=30), st.lists(st.text(min_size=1, max_size=4), max_size=3))
def test_any_characters(text: str, stops: list[str]) -> None:
    assert run(stops, list(text)) == expected(text, stops)


@pytest.mark.parametrize("stop", ["]", "^", "\\", "-", "[a-z]", "\n\n", "👩‍🚀", "a\x00b"])
def test_stop_texts_are_plain_text(stop: str) -> None:
    assert run([stop], list(f"one{stop}two")) == ("one", stop)


def test_without_stop_texts_all_passes_at_once() -> None:
    matcher = StopMatcher([])
    assert [matcher.push("one"), matcher.push(""), matcher.flush()] == ["one", "", ""]
    assert matcher.matched is None


def test_after_a_stop_text_nothing_comes_out() -> None:
    matcher = StopMatcher(["\nUser:"])
    assert matcher.push("Hello.\nUs") == "Hello."
    assert matcher.push("er: and more") == ""
    assert [matcher.push("still more"), matcher.flush()] == ["", ""]
    assert matcher.matched == "\nUser:"


def test_an_empty_stop_text_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        StopMatcher(["x", ""])


def test_time_is_linear_in_the_text() -> None:
    """Quadratic work on this would take many minutes and hit the suite's limit."""
    stop = "a" * 100_000 + "b"
    matcher = StopMatcher([stop])
    shown = sum(len(matcher.push("a")) for _ in range(300_000))
    assert (shown, len(matcher.flush())) == (200_000, 100_000)
    assert len(StopMatcher(["ab" * 1000 + "c"]).push("ab" * 200_000)) == 400_000 - 2000
