"""All plots. Their order is part of what a seed means: a new one goes to the end."""

from __future__ import annotations

from .courage import BRAVE, LOST_WAY, NOISE, RESCUE, STORM
from .finding import DREAM, FOUND, LETTER, LOST, THIEF
from .meeting import NARROW, SHY, SLEEPLESS, SMALL, WINTER
from .mistakes import BAKING, BROKEN, FULL_HOUSE, MAGIC, PRANK
from .plot import Plot, Question
from .sharing import GIFT, HUNGRY, QUARREL, SHARING, TRADE
from .trying import CONTEST, JOURNEY, LEARN, PLANT, RACE

__all__ = ["PLOTS", "Plot", "Question"]

PLOTS: tuple[Plot, ...] = (
    LOST,
    FOUND,
    SHARING,
    BROKEN,
    GIFT,
    MAGIC,
    TRADE,
    THIEF,
    BRAVE,
    LOST_WAY,
    LEARN,
    NOISE,
    RESCUE,
    RACE,
    STORM,
    SHY,
    PLANT,
    QUARREL,
    JOURNEY,
    HUNGRY,
    CONTEST,
    PRANK,
    DREAM,
    LETTER,
    BAKING,
    SLEEPLESS,
    NARROW,
    SMALL,
    FULL_HOUSE,
    WINTER,
)
