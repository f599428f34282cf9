"""Scales: steps in order, seen without colour vision, text that can be read."""

import pytest

from gptterm.charts.scales import (
    DARK,
    KL,
    LIGHT,
    PROBABILITY,
    RAMP,
    RANK,
    SHADES,
    STEPS,
    SURPRISAL,
    Colours,
    Scale,
)


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("tints", [LIGHT, DARK])
def test_texts_can_be_read_on_every_step(tints: tuple[Colours, ...]) -> None:
    for background, text in tints:
        low, high = sorted([luminance(background), luminance(text)])
        assert (high + 0.05) / (low + 0.05) >= 4.5


@pytest.mark.parametrize("tints", [LIGHT, DARK])
def test_lightness_is_in_the_order_of_the_steps(tints: tuple[Colours, ...]) -> None:
    order = [luminance(background) for background, _ in tints]
    assert order == sorted(order, reverse=tints is LIGHT)
    assert len(tints) == len(RAMP) == len(SHADES) == STEPS


@pytest.mark.parametrize("scale", [SURPRISAL, RANK, PROBABILITY, KL])
def test_a_step_begins_at_its_mark(scale: Scale) -> None:
    assert [scale.step(edge) for edge in scale.edges] == list(range(1, STEPS))
    assert scale.step(0.0) == 0
    assert scale.step(None) is None
    assert len(scale.marks) == STEPS


def test_numbers_are_short() -> None:
    assert [SURPRISAL.write(v) for v in (0.0, 15.61)] == ["0.0", "15.6"]
    assert [RANK.write(v) for v in (1, 50_257)] == ["1", "50,257"]
    assert [KL.write(v) for v in (0.0, 3e-5, 0.01, 0.123, 2.0)] == [
        "0", "3e-5", "0.01", "0.12", "2.00",
    ]  # fmt: skip
