"""Values formatted for people."""

import math

import pytest

from gptterm.format import (
    byte_size,
    duration,
    escaped,
    first_line,
    latency,
    parameter_count,
    perplexity,
    plural,
    shorten,
    token_rate,
)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (9949, "9.9 kB"),
        (10_000, "10 kB"),
        (999_499, "999 kB"),
        (999_501, "1.0 MB"),
        (548_105_171, "548 MB"),
        (3_100_000_000, "3.1 GB"),
        (2e15, "2000 TB"),
    ],
)
def test_a_size_has_three_digits_and_the_unit_of_disks(count: float, text: str) -> None:
    assert byte_size(count) == text


@pytest.mark.parametrize(
    ("value", "three", "four"),
    [
        (1.0, "1", "1"),
        (24.5678, "24.6", "24.57"),
        (999.4, "999", "999.4"),
        (999.96, "1,000", "1,000"),
        (8274.6, "8,270", "8,275"),
        (123_456.0, "123,000", "123,500"),
        (999_960.0, "1.00e6", "1.000e6"),
        (8_274_600.0, "8.27e6", "8.275e6"),
        (2.0**1000, "1.07e301", "1.072e301"),
        (math.inf, "inf", "inf"),
        (math.nan, "nan", "nan"),
    ],
)
def test_a_perplexity_is_a_number_that_one_reads(value: float, three: str, four: str) -> None:
    assert perplexity(value) == three
    assert perplexity(value, 4) == four


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0004, "0 ms"), (0.34, "340 ms"), (1.0, "1.0 s"), (12.34, "12.3 s")]
)
def test_a_latency_is_in_milliseconds_below_a_second(seconds: float, text: str) -> None:
    assert latency(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (5399, "90 min"),
        (5400, "1.5 h"),
        (86400, "24.0 h"),
    ],
)
def test_a_duration_has_its_natural_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_rate_has_a_decimal_where_it_tells_something() -> None:
    assert token_rate(45.24) == "45.2 tok/s"
    assert token_rate(168.4) == "168 tok/s"


def test_counts_agree_with_their_noun() -> None:
    assert [plural(n, "turn") for n in (0, 1, 2000)] == ["0 turns", "1 turn", "2,000 turns"]
    assert parameter_count(124_439_808) == "124.4 M parameters"
    assert parameter_count(1_557_611_200) == "1,557.6 M parameters"


def test_a_shortened_text_is_one_printable_line() -> None:
    assert shorten("a\n\n b\x1b[m", 40) == "a b␛[m"
    assert shorten("x" * 40, 40) == "x" * 40
    assert shorten("x" * 41, 40) == "x" * 39 + "…"


def test_a_name_shows_each_character_and_its_end() -> None:
    assert escaped("a\nb\u200b\x1b") == r"a\nb\u200b\x1b"
    assert escaped("né ü") == "né ü"
    shown = escaped("a" * 150 + "b" * 150)
    assert len(shown) == 200
    assert shown == "a" * 100 + "…" + "b" * 99


def test_an_error_is_told_in_its_first_line() -> None:
    assert first_line(ValueError("\n what\x07 \nat line 1\n")) == "what␇"
    assert first_line(KeyError()) == "KeyError"
    assert first_line(RuntimeError("x" * 1000)) == "x" * 299 + "…"


def test_the_list_after_a_colon_belongs_to_the_line() -> None:
    assert first_line(ValueError("needs one of:\n(1) a file,\n(2) a link")) == (
        "needs one of: (1) a file, (2) a link"
    )
    assert len(first_line(ValueError("one of:\n" + "a page\n" * 1000))) == 300
