"""Value types of the settings, shared by options, environment variables, config.toml and commands.

A `ValueType` validates a typed value (from TOML, from code) and parses one from text (an option, a
variable, a command at the prompt). Both raise `ValueError` with the allowed range. No imports that
would delay `gptterm --help`.
"""

import math
import re
from typing import Protocol

from gptterm.ranges import Range

_EXCERPT_LENGTH = 40


def _excerpt(value: object) -> str:
    """`value` as an error shows it: strings in quotes, nothing endless."""
    match value:
        case str():
            text = f'"{value}"'
        case bool():
            text = str(value).lower()
        case float():
            text = f"{value:g}"  # what was typed as -1 is not called -1.0
        case dict():
            text = "a table"
        case _:
            text = str(value)
    return text if len(text) <= _EXCERPT_LENGTH else text[: _EXCERPT_LENGTH - 1] + "…"


class ValueType(Protocol):
    """One kind of value and its range."""

    metavar: str
    """Stands for the value in `--help`."""
    expected: str
    """The range in words: `must be …`."""

    def validate(self, value: object) -> object:
        """Return the value as it is kept. ValueError: wrong type or out of range."""
        ...

    def parse(self, text: str) -> object:
        """Return the value that `text` spells. ValueError: it spells none, or one out of range."""
        ...


class Number:
    """A real number in a range."""

    metavar = "X"

    def __init__(self, allowed: Range) -> None:
        self.expected = str(allowed)
        self._allowed = allowed

    def validate(self, value: object) -> float:
        # bool is an int to Python, but `temperature = true` is a slip.
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"must be {self.expected}, not {_excerpt(value)}")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        self._allowed.check(number, _excerpt(value))
        return number

    def parse(self, text: str) -> float:
        # float() also takes "1_000" and other scripts' digits: nobody means those here.
        spelled = text.strip()
        try:
            number = float(spelled if spelled.isascii() and "_" not in spelled else "no number")
        except ValueError:
            raise ValueError(f"must be {self.expected}, not {_excerpt(text)}") from None
        return self.validate(number)


class Integer:
    """A whole number in a range, at most 2^31 - 1."""

    metavar = "N"

    def __init__(self, allowed: Range) -> None:
        self.expected = str(allowed)
        self._allowed = allowed

    def validate(self, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            given = str(value) if isinstance(value, float) else _excerpt(value)  # 5.0, not 5
            raise ValueError(f"must be {self.expected}, not {given}")
        if value > _MAX_INTEGER and math.isinf(self._allowed.high):
            raise ValueError(
                f"must be {self.expected}, at most {_MAX_INTEGER}, not {_excerpt(value)}"
            )
        self._allowed.check(value, _excerpt(value))
        return value

    def parse(self, text: str) -> int:
        # int() also takes "1_000" and other scripts' digits: nobody means those here.
        if not re.fullmatch(r"[+-]?[0-9]{1,100}", text.strip()):
            raise ValueError(f"must be {self.expected}, not {_excerpt(text)}")
        return self.validate(int(text.strip()))


_MAX_INTEGER = 2**31 - 1


class Seed:
    """A seed, or `random` (None): one is drawn, and reported."""

    metavar = "N|random"
    expected = 'a whole number from 0 to 2^63 - 1 or "random"'

    def validate(self, value: object) -> int | None:
        if value is None or value == "random":
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
            raise ValueError(f"must be {self.expected}, not {_excerpt(value)}")
        return value

    def parse(self, text: str) -> int | None:
        word = text.strip().lower()
        return self.validate(int(word) if re.fullmatch(r"[0-9]{1,100}", word) else word)


class Choice:
    """One of a few words."""

    expected: str

    def __init__(self, *choices: str) -> None:
        self.choices = choices
        self.metavar = "|".join(choices)
        self.expected = f"{', '.join(choices[:-1])} or {choices[-1]}"

    def validate(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.choices:
            raise ValueError(f"must be {self.expected}, not {_excerpt(value)}")
        return value

    def parse(self, text: str) -> str:
        return self.validate(text.strip().lower())


class Boolean:
    """On or off."""

    metavar = "true|false"
    expected = "true or false"
    _WORDS = {  # noqa: RUF012 - read only
        "1": True, "true": True, "yes": True, "on": True,
        "0": False, "false": False, "no": False, "off": False, "": False,
    }  # fmt: skip

    def validate(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError(f"must be {self.expected}, not {_excerpt(value)}")
        return value

    def parse(self, text: str) -> bool:
        word = text.strip().lower()
        if word not in self._WORDS:
            raise ValueError(f"must be {self.expected}, not {_excerpt(text)}")
        return self._WORDS[word]


class Text:
    """Any text; `empty` says whether it may be empty."""

    metavar = "TEXT"

    def __init__(self, expected: str = "a text", *, empty: bool = True) -> None:
        self.expected = expected
        self._empty = empty

    def validate(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"must be {self.expected}, not {_excerpt(value)}")
        if not (self._empty or value.strip()):
            raise ValueError(f"must be {self.expected}, not empty")
        if not value.isascii():
            _require_unicode(value)
        return value

    def parse(self, text: str) -> str:
        return self.validate(text)


class TextList:
    """A list of texts, none of them empty. From text: that one text."""

    metavar = "TEXT"
    expected = "a list of texts, none empty"

    def validate(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple):
            raise ValueError(f"must be {self.expected}, not {_excerpt(value)}")
        for text in value:
            if not isinstance(text, str):
                raise ValueError(f"must be {self.expected}, not one with {_excerpt(text)}")
            if not text:
                raise ValueError("must not be an empty text")
            _require_unicode(text)
        return tuple(value)

    def parse(self, text: str) -> tuple[str, ...]:
        return self.validate([text])


class Device:
    """`auto`, `cpu`, `cuda`, `cuda:N` or `mps`."""

    metavar = "auto|cpu|cuda[:N]|mps"
    expected = "auto, cpu, cuda, cuda:N or mps"

    def validate(self, value: object) -> str:
        if not isinstance(value, str) or not re.fullmatch(r"auto|cpu|mps|cuda(:\d{1,3})?", value):
            raise ValueError(f"must be {self.expected}, not {_excerpt(value)}")
        return value

    def parse(self, text: str) -> str:
        return self.validate(text.strip().lower())


class KeepAlive:
    """Minutes above 0, `off` (0 is that too) or `forever`."""

    metavar = "MINUTES|off|forever"
    expected = "a number of minutes, off or forever"

    def validate(self, value: object) -> float | str:
        if value in ("off", "forever"):
            return str(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"must be {self.expected}, not {_excerpt(value)}")
        if not 0 <= value <= _LONGEST_MINUTES:
            limits = f"from 0 to {_LONGEST_MINUTES}"
            raise ValueError(f"must be {self.expected}; minutes {limits}, not {_excerpt(value)}")
        return float(value) if value else "off"

    def parse(self, text: str) -> float | str:
        word = text.strip().lower()
        try:
            minutes = float(word)
        except ValueError:
            return self.validate(word)
        return self.validate(minutes)


_LONGEST_MINUTES = 525_600
"""A year. Whoever wants more wants `forever`."""


def _require_unicode(text: str) -> None:
    """Arguments that are no UTF-8 reach Python as lone surrogates, which no tokenizer takes."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"is not valid UTF-8 (at character {error.start})") from None
