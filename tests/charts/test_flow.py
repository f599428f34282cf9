"""The layout of tinted texts, held against the text itself."""

import random

import pytest

from gptterm.charts.cells import text_in_line
from gptterm.charts.figure import TintedToken
from gptterm.charts.flow import LEAST_WIDTH, Flow
from gptterm.charts.runs import Line, line_width
from gptterm.charts.scales import RAMP, SURPRISAL

PIECES = [
    b" the", b"The", b" fox", b"-", b"\n", b".\n\n", b" ", "人工".encode(), "🎉".encode(),
    "人".encode()[:2], b"a" * 50, b" e\xcc\x81", b"\t", b"\x1b[2J", "\u202e".encode(), b"",
]  # fmt: skip


def laid_out(tokens: list[TintedToken], width: int, *, ramp: bool = False) -> list[Line]:
    flow = Flow(width, SURPRISAL, ramp=ramp)
    lines = [line for token in tokens for line in flow.push(token)]
    return [*lines, *flow.finish()]


def text_of(lines: list[Line]) -> str:
    return "".join(run.text for line in lines for run in line)


@pytest.mark.parametrize("width", [1, 20, 60, 80, 200])
@pytest.mark.parametrize("seed", range(8))
def test_lines_fit_and_nothing_is_lost(width: int, seed: int) -> None:
    dice = random.Random(seed)
    pieces = dice.choices(PIECES, k=200)
    tokens = [TintedToken(piece, dice.uniform(0, 20)) for piece in pieces]
    lines = laid_out(tokens, width)
    assert all(line_width(line) <= max(width, LEAST_WIDTH) for line in lines)
    expected = "".join(text_in_line(piece) for piece in pieces)
    assert text_of(lines).replace(" ", "") == expected.replace(" ", "")


def test_lines_are_broken_between_words_and_where_the_text_breaks() -> None:
    pieces = [b"The", b" lan", b"tern", b" of", b" gl", b"ass.\n", b"\n", b"It"]
    lines = laid_out([TintedToken(piece) for piece in pieces], 14)
    assert ["".join(run.text for run in line) for line in lines] == [
        "The lantern of", "glass.↵", "↵", "It",
    ]  # fmt: skip


def test_a_token_is_tinted_by_its_value_and_a_missing_one_is_not() -> None:
    (line,) = laid_out([TintedToken(b"a", 0.5), TintedToken(b"b", 9.0), TintedToken(b"c")], 20)
    assert [run.step for run in line] == [0, 5, None]


def test_without_colours_a_sign_follows_each_token() -> None:
    (line,) = laid_out([TintedToken(b"a", 0.5), TintedToken(b" b", 99.0)], 20, ramp=True)
    assert [(run.text, run.step) for run in line] == [(f"a{RAMP[0]}", None), (f" b{RAMP[7]}", None)]


def test_lines_come_out_while_the_text_is_read() -> None:
    flow = Flow(20, SURPRISAL)
    out = 0
    for _ in range(10_000):
        out += len(list(flow.push(TintedToken(b" word", 1.0))))
    assert out >= 2_400
