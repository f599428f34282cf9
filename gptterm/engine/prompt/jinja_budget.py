"""Time and memory budget of a chat template, which comes with a model and is untrusted.

Jinja's sandbox keeps a template from reaching Python, not from computing for ever. Three limits:

- steps: loop iterations, calls, comparisons, outputs, and elements of containers it builds. Without
  them a comparison of nested lists could take exponential time inside one operation.
- bytes: of one value, and of all values made; estimated before an operation that can multiply its
  operands, such as `*`, `replace` or a format's width.
- CPU time of the rendering thread, looked at every few steps. Wall-clock time would refuse a good
  template on a busy machine.
"""

import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any

from jinja2.utils import Namespace

_STEPS = 4_000_000
_SECONDS = 2.5
_STEPS_BETWEEN_LOOKS = 16
_VALUE_BYTES = 4_000_000
_VALUE_BYTES_PER_BYTE = 16
_TOTAL_BYTES = 256_000_000
_TOTAL_BYTES_PER_BYTE = 256
_NODE_BYTES = 64
"""Roughly a list's slot and the small object in it."""
_LARGEST_NUMBER = 1_000_000
"""Limit of widths, counts and the like."""
_INTEGER_BITS = 100_000
_QUADRATIC = 1_000_000_000
"""Limit of the product of two lengths where a method compares every pair."""
_NUMBER = re.compile(r"\d+")
_CODECS = frozenset({"utf-8", "utf8", "ascii", "latin-1", "latin1"})


class TemplateBudgetError(Exception):
    """A chat template exceeds its budget."""


def size(text: Any) -> int:
    """Return the bytes of a text or bytes, at most."""
    return len(text) if isinstance(text, bytes) or text.isascii() else 4 * len(text)


class Budget:
    """Budget of one prompt's renderings.

    Args:
        input_bytes: size of the messages; the bytes' limits grow with it.
    """

    def __init__(self, input_bytes: int = 0) -> None:
        self._steps = 0
        self._bytes = 0
        self._value_limit = _VALUE_BYTES + _VALUE_BYTES_PER_BYTE * input_bytes
        self._total_limit = _TOTAL_BYTES + _TOTAL_BYTES_PER_BYTE * input_bytes
        self._deadline = time.thread_time() + _SECONDS

    def tick(self, steps: int = 1) -> bool:
        """Count steps; always true, so that an expression can contain it.

        Raises:
            TemplateBudgetError: there were too many, or the time is over.
        """
        before = self._steps
        self._steps = after = before + steps
        if after // _STEPS_BETWEEN_LOOKS != before // _STEPS_BETWEEN_LOOKS and (
            after > _STEPS or time.thread_time() > self._deadline
        ):
            raise TemplateBudgetError("it takes too long")
        return True

    def charge(self, count: int) -> None:
        """Count the bytes of a value that is about to be made.

        Raises:
            TemplateBudgetError: the value is too large, or all of them are.
        """
        self._bytes += count
        if count > self._value_limit or self._bytes > self._total_limit:
            raise TemplateBudgetError("it takes too much memory")

    def walk(self, value: Any) -> int:
        """Return the bytes of a value written as text, and count the steps to visit all of it."""
        if isinstance(value, str | bytes):
            return size(value)
        total, pending = 0, [value]
        while pending:
            value = pending.pop()
            self.tick()
            total += _NODE_BYTES
            if isinstance(value, str | bytes):
                total += size(value)
            elif isinstance(value, Mapping):
                pending += [*value.keys(), *value.values()]
            elif isinstance(value, Namespace):
                pending.append(object.__getattribute__(value, "_Namespace__attrs"))
            elif isinstance(value, _CONTAINERS):
                pending += value
            elif isinstance(value, int):
                total += value.bit_length() // 3
            if total > self._value_limit:
                self.charge(total)
        return total

    # --------------------------------------------------------------------------- operations

    def container(self, value: Any) -> Any:
        """Return a list, tuple or dict that the template has just built."""
        self.walk(value)
        return value

    def part(self, value: Any) -> Any:
        """Return a slice that was just taken."""
        if isinstance(value, str | bytes):
            self.charge(size(value))
        elif isinstance(value, list | tuple):
            self.charge(_NODE_BYTES * len(value))
        return value

    def output(self, value: Any) -> Any:
        """Return a value that is about to be written as text."""
        self.tick()
        if not isinstance(value, str):
            self.charge(self.walk(value))
        return value

    def concatenated(self, pieces: Iterable[str]) -> str:
        """Join a template's output."""
        kept, total = [], 0
        for piece in pieces:
            total += size(piece) + 8
            if total > self._value_limit:
                break
            kept.append(piece)
        self.charge(total)
        return "".join(kept)

    def operator(self, name: str, left: Any, right: Any) -> None:
        """Check an arithmetic operation before it is done."""
        if name == "+" and isinstance(left, str | bytes | list | tuple):
            self.charge(self.walk(left) + self.walk(right))
        elif name == "*":
            for value, times in ((left, right), (right, left)):
                if isinstance(value, str | bytes | list | tuple) and isinstance(times, int):
                    self.charge(self.walk(value) * max(0, times))
                    if not isinstance(value, str | bytes):
                        self.tick(len(value) * max(0, times))
            if isinstance(left, int) and isinstance(right, int):
                self._integer(left.bit_length() + right.bit_length())
        elif name == "**" and isinstance(left, int) and isinstance(right, int):
            self._integer(left.bit_length() * max(0, right))
        elif name == "%" and isinstance(left, str | bytes):
            self.format(left, right if isinstance(right, tuple) else (right,))

    def _integer(self, bits: int) -> None:
        if bits > _INTEGER_BITS:
            raise TemplateBudgetError("it takes too much memory")

    def format(self, form: Any, values: Iterable[Any]) -> None:
        """Check a format string and its values before it is filled in."""
        text = form if isinstance(form, str) else form.decode("latin-1")
        numbers = [int(number[:10]) for number in _NUMBER.findall(text)]
        sizes, widths = 0, 0
        for value in values:
            sizes += self.walk(value)
            if isinstance(value, int):
                widths = max(widths, abs(value))
        fields = max(text.count("%"), text.count("{"))
        nested = text.count("*") + text.count("{")
        # A field that holds another may take its width from any value.
        dynamic = nested * widths if "*" in text or "{:{" in text.replace(" ", "") else 0
        self.charge(size(text) + sum(numbers) + fields * sizes + dynamic)

    def counts(self, values: Iterable[Any]) -> None:
        """Check widths, counts and the like among a call's arguments."""
        if any(isinstance(value, int) and abs(value) > _LARGEST_NUMBER for value in values):
            raise TemplateBudgetError("it asks for too much")

    # --------------------------------------------------------------------------- methods

    def method(self, owner: Any, name: str, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Check a call of a built-in value's method; return its arguments, lists for iterators."""
        self.counts(args)
        if not isinstance(owner, str | bytes):
            return args
        texts = [value for value in args if isinstance(value, str | bytes)]
        if name == "join" and args:
            args = (list(args[0]), *args[1:])
            self.charge(self.walk(args[0]) + len(args[0]) * size(owner))
        elif name == "replace" and len(texts) >= 2 and type(texts[0]) is type(texts[1]):
            self.replacement(owner, texts[0], texts[1])
        elif name == "translate":
            largest = max(map(self.walk, _values(args)), default=0)
            self.charge(len(owner) * (1 + largest))
        elif name == "expandtabs":
            widths = [value for value in args if isinstance(value, int)] or [8]
            self.charge(len(owner) * max(1, *widths))
        elif name in _PAIRWISE and texts:
            self.pairwise(owner, texts[0])
        elif name in ("encode", "decode") and not all(text in _CODECS for text in texts[:1]):
            raise TemplateBudgetError(f"it asks for the encoding {texts[0]!r}")
        return args

    def pairwise(self, one: Any, other: Any) -> None:
        """Check a method whose time is the product of two lengths."""
        if len(one) * len(other) > _QUADRATIC:
            raise TemplateBudgetError("it takes too long")

    def replacement(self, text: Any, old: Any, new: Any) -> None:
        """Check the replacement of all of a text's `old`."""
        self.charge(size(text) + text.count(old) * size(new))

    def method_result(self, value: Any) -> Any:
        """Count what a method has made."""
        if isinstance(value, str | bytes | list | tuple | dict):
            self.charge(self.walk(value))
        return value

    # --------------------------------------------------------------------------- filters

    def filter(self, name: str, args: list[Any], kwargs: dict[str, Any]) -> None:
        """Check a filter's call; an iterator that it would write as text becomes a list."""
        self.tick()
        values = [*args[1:], *kwargs.values()]
        if name not in ("default", "d", "int", "float"):
            self.counts(values)
        if name in _AS_THEY_ARE or not args:
            return
        if name == "join":
            args[0] = args[0] if isinstance(args[0], str) else list(args[0])
            between = max(map(self.walk, values), default=0)
            self.charge(self.walk(args[0]) + len(args[0]) * between)
            return
        sizes = [self.walk(value) for value in (args[0], *values)]
        self.charge(sum(sizes))
        if name == "replace":
            texts = [str(value) for value in (args[0], *values)]
            if len(texts) >= 3:
                self.replacement(*texts[:3])
        elif name == "indent":
            text = str(args[0])
            width = max(
                [value if isinstance(value, int) else size(value) for value in values
                 if isinstance(value, int | str)] or [4]
            )  # fmt: skip
            self.charge((text.count("\n") + 1) * max(4, width) + size(text))
        elif name == "format":
            self.format(str(args[0]), values)
        elif name == "trim" and len(sizes) > 1:
            self.pairwise(str(args[0]), str(values[0]))
        elif name in _QUADRATIC_FILTERS or (name == "tojson" and "indent" in kwargs):
            self.counts([value * 1000 for value in values if isinstance(value, int)][:1])
            self.charge(sum(sizes) ** 2 // 50)

    def filter_result(self, value: Any) -> Any:
        """Count what a filter has made; an iterator counts as it goes."""
        if isinstance(value, Generator):
            return self._counted(value)
        if isinstance(value, str | bytes):
            self.charge(size(value))
        elif isinstance(value, list | tuple):
            self.charge(_NODE_BYTES * len(value))
        return value

    def _counted(self, values: Iterator[Any]) -> Iterator[Any]:
        for value in values:
            self.tick()
            if isinstance(value, list):
                self.walk(value)  # `batch` fills its last one with copies
            yield value


def budgeted_filter(
    name: str, function: Callable[..., Any], budget: Callable[[], Budget]
) -> Callable[..., Any]:
    """Return a filter that counts what it takes; `budget` is asked for the one in force."""
    first = 1 if hasattr(function, "jinja_pass_arg") else 0

    def call(*args: Any, **kwargs: Any) -> Any:
        values = list(args[first:])
        current = budget()
        current.filter(name, values, kwargs)
        return current.filter_result(function(*args[:first], *values, **kwargs))

    call.__dict__.update(getattr(function, "__dict__", {}))  # how Jinja passes it the context
    return call


def _values(args: tuple[Any, ...]) -> list[Any]:
    """Return the values of the mapping among a call's arguments."""
    return [value for arg in args if isinstance(arg, Mapping) for value in arg.values()]


_CONTAINERS: tuple[type[Iterable[Any]], ...] = (
    list, tuple, set, frozenset, range, type({}.keys()), type({}.values()), type({}.items()),
)  # fmt: skip
_PAIRWISE = frozenset({"rfind", "rindex", "rsplit", "rpartition", "strip", "lstrip", "rstrip"})
_AS_THEY_ARE = frozenset(
    {
        "abs", "attr", "batch", "count", "d", "default", "dictsort", "first", "float", "groupby",
        "int", "items", "last", "length", "list", "map", "max", "min", "random", "reject",
        "rejectattr", "reverse", "round", "safe", "select", "selectattr", "slice", "sort", "sum",
        "unique",
    }
)  # fmt: skip
"""Filters that write none of their values as text."""
_QUADRATIC_FILTERS = frozenset({"pprint", "striptags", "urlize", "wordwrap"})
