"""Base of the contract's values."""

import msgspec

from gptterm.ranges import Range


class Data(msgspec.Struct, frozen=True, kw_only=True, tag=True, forbid_unknown_fields=True):
    """Base of all values: immutable, keyword-only, tagged with the type's name when encoded."""


def check_range(allowed: Range, name: str, value: float) -> None:
    """Raise ValueError, which names the field and its range, for a value out of range."""
    try:
        allowed.check(value)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from None
