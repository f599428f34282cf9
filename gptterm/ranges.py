"""Numeric ranges: the check and the words of an allowed range."""

import math
from typing import NamedTuple


class Range(NamedTuple):
    """An interval of finite numbers. `str` gives the words: `a number above 0, up to 1`."""

    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    """`low` itself is not in the range."""
    integer: bool = False

    def __str__(self) -> str:
        kind = "a whole number" if self.integer else "a number"
        if math.isinf(self.low):
            return "a finite number"
        if self.open_low:
            return f"{kind} above {self.low:g}" + (
                "" if math.isinf(self.high) else f", up to {self.high:g}"
            )
        if math.isinf(self.high):
            return f"{kind}, {self.low:g} or more"
        return f"{kind} from {self.low:g} to {self.high:g}"

    def check(self, value: float, shown: str = "") -> None:
        """Do nothing for a number in the range.

        Args:
            shown: the value as the error quotes it.

        Raises:
            ValueError: `must be a number above 0, up to 1, not 5`.
        """
        above = value > self.low if self.open_low else value >= self.low
        # No conversion to float, which overflows for a large int.
        if above and value <= self.high and -math.inf < value < math.inf:
            return
        finite = " and finite" if abs(value) == math.inf and self.low > -math.inf else ""
        raise ValueError(f"must be {self}{finite}, not {shown or format(value, 'g')}")
