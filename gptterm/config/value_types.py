"""Value types of the settings, shared by options, environment variables, config.toml and commands.

A `ValueType` validates a typed value (from TOML, from code) and parses one from text (an option, a
variable, a command at the prompt). Both raise `ValueError` with the whole allowed range and the
value given. No imports that would delay `gptterm --help` or a usage error.

Tried, and left: `msgspec.Meta` on a struct. Its errors name one bound (``Expected `float` <= 1.0``)
or a regular expression, never the value; it takes inf for a number and 7.0 in text for a whole one,
and importing it would add 10 ms of CPU to the 47 of a usage error.
"""

import re
from typing import NoReturn

from gptterm.engine.until import is_expression, pattern
from gptterm.format import shorten
from gptterm.ranges import Range

MAX_INTEGER = 2**31 - 1
MAX_MINUTES = 525_600
"""A year; longer is `forever`."""


class ValueType:
    """One kind of value with its range."""

    metavar: str
    """Stands for the value in `--help`."""
    expected: str
    """The range in words, after `must be`."""
    words: tuple[str, ...] = ()
    """All values, if they are a few words."""

    def validate(self, value: object) -> object:
        """Return a typed value as it is stored."""
        raise NotImplementedError

    def parse(self, text: str) -> object:
        """Return the value that `text` spells."""
        return self.validate(text.strip().lower())

    def _refuse(self, value: object, detail: str = "") -> NoReturn:
        raise ValueError(f"must be {self.expected}{detail}, not {_quote(value)}")


def _quote(value: object) -> str:
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
        case None:
            text = "null"
        case _:
            text = str(value)
    return shorten(text, 40)


class Number(ValueType):
    """A real number in a range."""

    metavar = "X"

    def __init__(self, allowed: Range) -> None:
        self.expected = str(allowed)
        self._allowed = allowed

    def validate(self, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._refuse(value)
        try:
            number = float(value)
        except OverflowError:
            number = float("inf")
        self._allowed.check(number, _quote(value))
        return number

    def parse(self, text: str) -> float:
        # float() also takes "1_000" and other scripts' digits.
        try:
            number = float(text.strip() if text.isascii() and "_" not in text else "no number")
        except ValueError:
            self._refuse(text)
        return self.validate(number)


class Integer(ValueType):
    """A whole number in a range, at most 2^31 - 1."""

    metavar = "N"

    def __init__(self, allowed: Range) -> None:
        self.expected = str(allowed)
        self._allowed = allowed

    def validate(self, value: object) -> int:
        if isinstance(value, float):
            raise ValueError(f"must be {self.expected}, not {value}")  # 5.0, not 5
        if isinstance(value, bool) or not isinstance(value, int):
            self._refuse(value)
        if MAX_INTEGER < value <= self._allowed.high:
            self._refuse(value, f", at most {MAX_INTEGER}")
        self._allowed.check(value, _quote(value))
        return value

    def parse(self, text: str) -> int:
        # int() also takes "1_000" and other scripts' digits.
        if not re.fullmatch(r"[+-]?[0-9]{1,100}", text.strip()):
            self._refuse(text)
        return self.validate(int(text.strip()))


class Seed(ValueType):
    """A seed, or `random` (None): a new one for each request, which is reported."""

    metavar = "N|random"
    expected = 'a whole number from 0 to 2^63 - 1 or "random"'

    def validate(self, value: object) -> int | None:
        if value is None or value == "random":
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
            self._refuse(value)
        return value

    def parse(self, text: str) -> int | None:
        word = text.strip().lower()
        return self.validate(int(word) if re.fullmatch(r"[0-9]{1,100}", word) else word)


class Word(ValueType):
    """One of a few words, or of a pattern that includes them; capitals are parsed, too."""

    def __init__(self, metavar: str, expected: str, pattern: str) -> None:
        self.metavar = metavar
        self.expected = expected
        self._pattern = re.compile(pattern)

    @classmethod
    def of(cls, *words: str) -> "Word":
        """Exactly these words."""
        either = "|".join(words)
        made = cls(either, f"{', '.join(words[:-1])} or {words[-1]}", either)
        made.words = words
        return made

    def validate(self, value: object) -> str:
        if not isinstance(value, str) or not self._pattern.fullmatch(value):
            self._refuse(value)
        return value


class Boolean(ValueType):
    """On or off."""

    metavar = "true|false"
    expected = "true or false"
    words = ("true", "false")
    _WORDS = {  # noqa: RUF012 - read only
        "1": True, "true": True, "yes": True, "on": True,
        "0": False, "false": False, "no": False, "off": False, "": False,
    }  # fmt: skip

    def validate(self, value: object) -> bool:
        if not isinstance(value, bool):
            self._refuse(value)
        return value

    def parse(self, text: str) -> bool:
        return self.validate(self._WORDS.get(text.strip().lower(), text))


class Text(ValueType):
    """Any text; `empty` allows the empty one."""

    metavar = "TEXT"

    def __init__(self, expected: str = "a text", *, empty: bool = True) -> None:
        self.expected = expected
        self._empty = empty

    def validate(self, value: object) -> str:
        if not isinstance(value, str):
            self._refuse(value)
        if not (self._empty or value.strip()):
            raise ValueError(f"must be {self.expected}, not empty")
        _require_unicode(value)
        return value

    def parse(self, text: str) -> str:
        return self.validate(text)


class TextList(ValueType):
    """A list of texts, none of them empty. Text is parsed as a list of one."""

    metavar = "TEXT"
    expected = "a list of texts, none empty"

    def validate(self, value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple):
            self._refuse(value)
        for text in value:
            if not isinstance(text, str):
                raise ValueError(f"must be {self.expected}, not one with {_quote(text)}")
            if not text:
                raise ValueError("must not be an empty text")
            _require_unicode(text)
        return tuple(value)

    def parse(self, text: str) -> tuple[str, ...]:
        return self.validate([text])


class EndList(TextList):
    """A list of ends of a text: units, texts, and regular expressions as `/…/`."""

    metavar = "TEXT|/REGEX/"
    expected = "a list of texts, /expressions/, sentence, paragraph or line"

    def validate(self, value: object) -> tuple[str, ...]:
        ends = super().validate(value)
        for end in ends:
            if is_expression(end):
                pattern(end)
        return ends


class AdapterList(TextList):
    """A list of directories of LoRA adapters, each with `=SCALE` or without."""

    metavar = "DIR[=SCALE]"
    expected = "a list of directories, each with =SCALE behind it or without"

    @staticmethod
    def split(text: str) -> tuple[str, float]:
        """Directory and scale: what stands after the last `=`, where that is a number."""
        directory, _, number = text.rpartition("=")
        if directory and re.fullmatch(r"-?(\d{1,9}\.?\d{0,9}|\.\d{1,9})", number, re.ASCII):
            return directory, float(number)
        return text, 1.0


class TextPairs(ValueType):
    """A list of pairs of texts. Not parsed from text."""

    metavar = "PAIRS"
    expected = 'a list of pairs of texts, such as [["cheese", "fromage"]]'

    def validate(self, value: object) -> tuple[tuple[str, str], ...]:
        if not isinstance(value, list | tuple):
            self._refuse(value)
        for pair in value:
            if not (isinstance(pair, list | tuple) and len(pair) == 2):
                self._refuse(pair)
            for text in pair:
                if not isinstance(text, str):
                    self._refuse(text)
                _require_unicode(text)
        return tuple((first, second) for first, second in value)


class KeepAlive(ValueType):
    """Minutes above 0, `off` (or 0) or `forever`."""

    metavar = "MINUTES|off|forever"
    expected = "a number of minutes, off or forever"

    def validate(self, value: object) -> float | str:
        if value in ("off", "forever"):
            return str(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._refuse(value)
        if not 0 <= value <= MAX_MINUTES:
            self._refuse(value, f"; minutes from 0 to {MAX_MINUTES}")
        return float(value) if value else "off"

    def parse(self, text: str) -> float | str:
        word = text.strip().lower()
        try:
            minutes = float(word)
        except ValueError:
            return self.validate(word)
        return self.validate(minutes)


def _require_unicode(text: str) -> None:
    """Refuse lone surrogates, which bytes of an argument that are no UTF-8 become in Python."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"is not valid UTF-8 (at character {error.start})") from None
