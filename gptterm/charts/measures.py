"""Measures of a token by which texts are tinted, with the scale of each."""

from typing import Literal

from gptterm.charts.scales import ENTROPY, RANK, SURPRISAL, Scale
from gptterm.engine.inspection.answers import TokenScore

Measure = Literal["surprisal", "rank", "entropy"]
SCALES: dict[str, Scale] = {"surprisal": SURPRISAL, "rank": RANK, "entropy": ENTROPY}


def measured(token: TokenScore, measure: Measure) -> float | None:
    """A token's value of a measure; None for a token without a score."""
    match measure:
        case "surprisal":
            return token.surprisal_bits
        case "rank":
            return token.rank
        case "entropy":
            return token.entropy_bits
