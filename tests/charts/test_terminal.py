"""Figures on terminals of any width, with colours and without."""

import re

import pytest
from rich.cells import cell_len

from gptterm.charts.terminal import LEAST_WIDTH, TerminalPainter
from gptterm.charts.views.tokens import tokens_figure
from gptterm.engine.api import Piece

PIECES = [
    Piece(id=i, piece=piece)
    for i, piece in enumerate(
        [b"The", b" fox", b"\n", "人".encode(), "人".encode()[:1], b"\x1b]0;x\x07", b" a" * 40]
    )
]
ESCAPES = re.compile(r"\x1b\[[\d;]*m")


def drawn(width: int) -> list[str]:
    figure = tokens_figure("a/name-that-is-long", PIECES, 99)
    return "".join(TerminalPainter(width).figure(figure)).splitlines()


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    for name in ("NO_COLOR", "COLORFGBG", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("width", [1, 20, 60, 80, 200])
@pytest.mark.parametrize("no_colour", [False, True])
def test_a_figure_fits_the_terminal(
    width: int, no_colour: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if no_colour:
        monkeypatch.setenv("NO_COLOR", "1")
    lines = drawn(width)
    assert all(cell_len(ESCAPES.sub("", line)) <= max(width, LEAST_WIDTH) for line in lines)
    # Nothing of the model's is an escape sequence.
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", ESCAPES.sub("", "\n".join(lines)))


def test_colours_follow_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    dark = drawn(80)
    monkeypatch.setenv("COLORFGBG", "0;15")
    assert drawn(80) != dark
    assert any("48;2;" in line for line in dark)


def test_without_colours_tokens_are_told_apart_by_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert "The│ fox│↵│" in "\n".join(drawn(80))
