"""Split a stream of JSON into values, one at a time in bounded memory.

A stream holds one value or several: the elements of an array, JSON Lines, concatenated values. A
value that is damaged or cut off does not affect the others.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

LARGEST_VALUE = 32 << 20
"""Bytes. Decoded, a value takes up to 24 times as much; the largest chats have about 10 MiB."""
DEEPEST = 800
"""Levels of nesting; exports of chats have about 15, trees of loom two for each node."""
CUT_OFF = "cut off"
NOT_JSON = "not JSON"
TOO_LARGE = f"larger than {LARGEST_VALUE >> 20} MiB"
TOO_DEEP = "nested too deeply"
NO_CONTAINER = "neither an object nor a list"

MOST_VALUES = 1_000_000
TOO_MANY = f"more than {MOST_VALUES:,} values in it"

_CHUNK = 1 << 20
_LONGEST_NUMBER = 4000
"""Digits. Python refuses to convert more than 4,300."""
_MOST_RESTARTS = 100

# Possessive quantifiers: each byte is looked at once, whatever the input. Before Python 3.11.5,
# what they repeat must not fail once it has matched a byte (gh-106052): a string may lack its end.
_STRING_BODY = rb'[^"\\]*+(?:\\.?+[^"\\]*+)*+'
_IN_STRING = re.compile(_STRING_BODY, re.DOTALL)
"""Matches up to the closing quote, or to the end, where a backslash may lack its character."""
_STRING = re.compile(rb'"' + _STRING_BODY + rb'("?+)', re.DOTALL)
_NO_BRACKET = rb'(?:[^"\[\]{}]++|"' + _STRING_BODY + rb'"?+)*+'
_NEXT = re.compile(_NO_BRACKET + rb"(?:([\[\]{}])|\Z)", re.DOTALL)
"""Matches up to and including the next bracket, or to the end, which may be in a string."""
_FIRST_KEY = re.compile(rb'\{\s*+"[^"\\]{1,40}"\s*+:')
_MOST_WRONG_GUESSES = 10
_BETWEEN = re.compile(rb"[\s,\x00\x1e]*+")
_LITERALS = re.compile(_NO_BRACKET, re.DOTALL)
_TITLE = re.compile(rb'"(?:title|name)"\s*:\s*"([^"\\]{1,200})')


class Value(NamedTuple):
    """One value of a stream."""

    item: Any
    """The decoded value; None if there is a problem."""
    group: int
    """Number of the array it is an element of; 0 for a top-level value."""
    problem: str = ""
    """The reason why it cannot be read, in a few words."""
    title: str = ""
    """Probable title of a value that cannot be read."""


def values(read: Callable[[int], bytes]) -> Iterator[Value]:
    """Yield the values of a stream.

    Args:
        read: returns the next bytes, about as many as asked for; none at the end.
    """
    return _Splitter(read).values()


class _Splitter:
    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._buffer = b""
        self._at = 0
        self._start: int | None = None
        """Start of the value being read, if it is kept."""
        self._ended = False
        self._restarts = 0
        self._wrong_guesses = 0
        """Wrong ones in a row."""

    def values(self) -> Iterator[Value]:
        groups = group = count = 0
        while self._skip(_BETWEEN):
            match self._byte():
                case b"]" | b"}":
                    self._at += 1
                    group = 0
                    continue
                case b"[" if not group:
                    self._at += 1
                    group = groups = groups + 1
                    continue
                case _ if (count := count + 1) > MOST_VALUES:
                    yield Value(None, group, TOO_MANY)
                    return
                case b"[" | b"{":
                    yield self._decoded(group)
                case _:
                    self._skip_literals()
                    yield Value(None, group, NO_CONTAINER)

    def _decoded(self, group: int) -> Value:
        """Read the object or array that begins here."""
        if self._wrong_guesses < _MOST_WRONG_GUESSES and (guessed := self._guessed()) is not None:
            return Value(guessed, group)
        data, problem = self._container()
        if not problem:
            try:
                return Value(decode(data), group)
            except ValueError as error:
                problem = str(error)
        # In JSON Lines, the next value starts on the next line.
        line = data.find(b"\n{") + 1
        if line and self._restarts < _MOST_RESTARTS:
            self._restarts += 1
            self._at -= len(data) - line
            data = data[:line]
        title = _TITLE.search(data, 0, 4096)
        return Value(None, group, problem, _text(title[1]) if title else "")

    def _guessed(self) -> Any:
        """Decode the object up to the next one with the same first key; None if that fails.

        If it decodes, it is complete: no proper prefix of a JSON object is valid. This is three
        times as fast as searching for its end.
        """
        self._wrong_guesses += 1
        begin = _FIRST_KEY.match(self._buffer, self._at)
        end = self._buffer.find(begin[0], begin.end()) if begin else -1
        if end < 0 or end - self._at > LARGEST_VALUE:
            return None
        data = self._buffer[self._at : end].rstrip(b", \t\r\n\x1e")
        try:
            found = msgspec.json.decode(data)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None
        self._at += len(data)
        self._wrong_guesses = 0
        return found

    def _byte(self) -> bytes:
        return self._buffer[self._at : self._at + 1]

    def _fill(self) -> None:
        """Read more, and drop bytes that are not needed any more."""
        keep = self._at if self._start is None else self._start
        pending = self._buffer[keep:]
        # Doubling, so that a long value is not copied too often.
        chunk = self._read(max(_CHUNK, len(pending)))
        self._ended = not chunk
        self._buffer = pending + chunk
        self._at -= keep
        self._start = None if self._start is None else 0

    def _skip(self, pattern: re.Pattern[bytes]) -> bool:
        """Skip a match of the pattern, possibly empty; return whether anything follows."""
        while not self._skip_to_end(pattern):
            if self._ended:
                return False
            self._fill()
        return True

    def _skip_literals(self) -> None:
        """Skip strings, numbers and names up to the next bracket."""
        start = self._at
        while not self._skip_to_end(_LITERALS):
            if (quote := self._open_string(start)) is not None:
                self._at = quote
                self._skip_string()
            elif self._ended:
                return
            else:
                self._fill()
            start = self._at

    def _skip_to_end(self, pattern: re.Pattern[bytes]) -> bool:
        """Skip a match of the pattern in what is read; return whether anything follows."""
        found = pattern.match(self._buffer, self._at)
        assert found is not None
        self._at = found.end()
        return self._at < len(self._buffer)

    def _open_string(self, start: int) -> int | None:
        """Return where the string that is not closed yet begins; None if there is none.

        Args:
            start: a place from which on there is no bracket but in strings.
        """
        last = None
        for last in _STRING.finditer(self._buffer, start):  # noqa: B007 - the last one
            pass
        return None if last is None or last[1] else last.start() + 1

    def _skip_string(self) -> None:
        """Skip the rest of a string."""
        while True:
            start = self._at
            if self._skip_to_end(_IN_STRING):
                self._at += 1
                return
            if self._ended:
                return
            part = self._buffer[start : self._at]
            self._at -= (len(part) - len(part.rstrip(b"\\"))) % 2  # half of an escape
            self._fill()

    def _container(self) -> tuple[bytes, str]:
        """Read the object or array that begins here; return its text and the problem with it.

        The text is empty if it is too large or too deep to be kept.
        """
        depth, problem = 0, ""
        self._start = self._at
        while True:
            for found in _NEXT.finditer(self._buffer, self._at):
                self._at = found.end()
                if not found[1]:
                    break
                depth += 1 if self._buffer[self._at - 1] in b"[{" else -1
                if depth == 0:
                    return self._taken(problem)
                if depth > DEEPEST and not problem:
                    problem, self._start = TOO_DEEP, None
            if self._start is not None and self._at - self._start > LARGEST_VALUE:
                problem = TOO_LARGE
                if b"\n{" in self._buffer[self._start : self._at]:
                    return self._taken(problem)
                self._start = None
            if (quote := self._open_string(found.start())) is not None:
                self._at = quote
                self._skip_string()
            elif self._ended:
                return self._taken(problem or CUT_OFF)
            else:
                self._fill()

    def _taken(self, problem: str) -> tuple[bytes, str]:
        start, self._start = self._start, None
        data = b"" if start is None else self._buffer[start : self._at]
        return data, problem or (TOO_LARGE if len(data) > LARGEST_VALUE else "")


# --------------------------------------------------------------------------------- decoding


def decode(data: bytes) -> Any:
    """Decode one value, leniently.

    Invalid UTF-8 becomes U+FFFD. Surrogates stay, in pairs or alone. NaN, control characters in
    strings and numbers of any length are accepted.

    Raises:
        ValueError: It is not JSON; the message gives the reason.
    """
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, ValueError, RecursionError):
        pass
    try:
        return json.loads(_text(data), strict=False, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise ValueError(f"{NOT_JSON} ({error.msg[:1].lower()}{error.msg[1:]})") from error
    except RecursionError:
        raise ValueError(TOO_DEEP) from None


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "gptterm-lenient")


def _lenient(error: UnicodeError) -> tuple[str, int]:
    """Error handler for CESU-8: decode surrogates of three bytes; other errors become U+FFFD."""
    assert isinstance(error, UnicodeDecodeError)
    after = error.start + 3
    try:
        half = error.object[error.start : after].decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return "\ufffd", error.end
    return (half, after) if len(half) == 1 else ("\ufffd", error.end)


codecs.register_error("gptterm-lenient", _lenient)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= _LONGEST_NUMBER else float(digits)
