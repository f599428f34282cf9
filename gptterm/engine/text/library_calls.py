"""Guards around calls of the `tokenizers` library.

It is native code over files that come with a model. Its failures may be Rust panics, whose
exceptions derive from BaseException and would pass every handler of errors. It cannot be
interrupted: a pattern of tokenizer.json can make Oniguruma backtrack for minutes.
"""

import json
import re
from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import Any

from tokenizers import Tokenizer as Backend

from gptterm.errors import GpttermError, ModelError
from gptterm.format import first_line

_SECONDS = 10.0
_SECONDS_PER_CHARACTER = 20e-6
_SHORT = 400
"""Characters; at this length a simple pattern takes well under a second whatever the text is."""
_REPEATED_GROUP = re.compile(r"\)(?:[*+]|\{(?!0?,?1\}))")
_BACKREFERENCE = re.compile(r"\\[1-9gk]")
_BRACKETS = re.compile(r"\\.|\[(?:\\.|\[:\^?\w+:\]|[^\]\\])+\]", re.DOTALL)
_UNBOUNDED = re.compile(r"[*+](?![*+?])|[*+]\?|\{[0-9]*,\}|\{[0-9]*,?[0-9]{3,}\}")
_MOST_UNBOUNDED = 2
_MOST_GROWTH = 64


class LibraryCalls:
    """Context manager that turns whatever the library raises into a ModelError of one line.

    Args:
        failing: beginning of the message, such as "the model's tokenizer fails".
    """

    def __init__(self, failing: str) -> None:
        self._failing = failing

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, _PASSED_ON):
            return
        raise ModelError(f"{self._failing}: {first_line(error)}") from error


_PASSED_ON = (GpttermError, KeyboardInterrupt, SystemExit, GeneratorExit)


class EncodingGuard:
    """Time limit for encoding a text with a tokenizer whose patterns may backtrack.

    The call runs in a thread of its own, which is left behind when its time is over; until it has
    ended every other text that needs the guard is refused. A thread costs about 50 µs, so texts
    that cannot take long are encoded without one.
    """

    def __init__(self, backend: Backend) -> None:
        patterns = _patterns(backend)
        self._has_patterns = bool(patterns)
        self._is_simple = all(map(is_simple, patterns))
        self._late: Event | None = None

    def run(self, encode: Callable[[], list[int]], text: str) -> list[int]:
        """Return the ids by `encode`, which encodes `text` without holding the GIL.

        Raises:
            ModelError: it fails, or takes too long.
        """
        if not self._has_patterns or (self._is_simple and len(text) <= _SHORT):
            with _ENCODING:
                return encode()
        return self._run_in_thread(encode, _SECONDS + len(text) * _SECONDS_PER_CHARACTER)

    def _run_in_thread(self, encode: Callable[[], list[int]], seconds: float) -> list[int]:
        if self._late is not None and not self._late.is_set():
            raise ModelError("the model's tokenizer is still busy with an earlier text")
        done = Event()
        ids: list[int] = []
        errors: list[BaseException] = []

        def call() -> None:
            try:
                ids.extend(encode())
            except BaseException as error:
                errors.append(error)
            finally:
                done.set()

        Thread(target=call, name="encode", daemon=True).start()
        self._late = done  # unless it ends in time, and the wait is not interrupted
        if not done.wait(seconds):
            raise ModelError(
                f"the model's tokenizer takes longer than {seconds:.0f} s over this text; a"
                " pattern in its tokenizer.json may be at fault"
            )
        with _ENCODING:
            if errors:
                raise errors[0]
        return ids


_ENCODING = LibraryCalls("the model's tokenizer fails on this text")


def is_simple(pattern: str) -> bool:
    """Whether a regular expression cannot backtrack exponentially: no group is repeated, and few
    quantifiers follow each other."""
    bare = _BRACKETS.sub("c", pattern)  # brackets and escapes are one character
    if _REPEATED_GROUP.search(bare) or _BACKREFERENCE.search(pattern):
        return False
    return all(len(_UNBOUNDED.findall(part)) <= _MOST_UNBOUNDED for part in bare.split("|"))


def check_growth(backend: Backend) -> None:
    """Refuse a normaliser or decoder whose replacements can multiply a text's length.

    Raises:
        ModelError: it can.
    """
    for step in (backend.normalizer, backend.decoder):
        growth = 1
        for state in _steps(step):
            if state.get("type") == "Replace":
                growth *= max(1, len(state.get("content", "")))
        if growth > _MOST_GROWTH:
            raise ModelError("the model's tokenizer multiplies the length of a text; do not use it")


def _patterns(backend: Backend) -> list[str]:
    """Return the regular expressions that texts are searched for."""
    states = [*_steps(backend.normalizer), *_steps(backend.pre_tokenizer)]
    patterns = (state.get("pattern") for state in states)
    return [found["Regex"] for found in patterns if isinstance(found, dict) and "Regex" in found]


def _steps(step: Any) -> list[dict[str, Any]]:
    """Return the state of a step of the backend, and of all steps within it."""
    if step is None:
        return []
    found, pending = [], [json.loads(step.__getstate__())]
    while pending:
        state = pending.pop()
        found.append(state)
        for key in ("normalizers", "pretokenizers", "decoders"):
            pending += state.get(key, [])
    return found
