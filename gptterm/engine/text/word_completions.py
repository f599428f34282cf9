"""Words in a vocabulary: the tokens that would complete a word behind a text, however it is cut.

By bytes, not by the tokens that encoding gives a word: a model can spell one in many ways. A word
stands alone: no letter of the same word precedes or follows it, as "fox" in "a fox's", but not in
"foxes". In scripts without spaces between words, it is any occurrence. One that is typed in lower
case is found in any case.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

_WITHOUT_SPACES = "\u0e00"
"""From this character on (Thai, and then those of East Asia) few scripts have spaces."""
_CHAR = 4
"""Most bytes of a character."""


class Form(NamedTuple):
    """One way to write a word."""

    text: bytes
    folds: bool
    """Compared in lower case, as far as that is ASCII; `text` is."""
    begins: bool
    """Its first character joins with one before it to another word."""
    ends: bool
    """Its last character joins with one behind it."""


@lru_cache(maxsize=1024)
def forms(word: str) -> tuple[Form, ...]:
    """Return the ways to write a word: in any case if it is in lower case, else as it is."""
    folds = word == word.lower()
    cases = (word, word.capitalize(), word.title(), word.upper()) if folds else (word,)
    texts = dict.fromkeys(_folded(case.encode(), folds) for case in cases)
    return tuple(Form(text, folds, _joins(word[0]), _joins(word[-1])) for text in texts)


def _folded(text: bytes, folds: bool) -> bytes:
    """ASCII letters in lower case, which changes no length."""
    return text.lower() if folds else text


def _joins(char: str) -> bool:
    return (char.isalnum() or char == "_") and char < _WITHOUT_SPACES


def _joins_before(text: bytes) -> bool:
    """Whether the last character of a text does; one that is cut does not."""
    return any(map(_joins, text[-_CHAR:].decode(errors="replace")[-1:]))


def _joins_behind(text: bytes) -> bool:
    """Whether the first character of a text does; one that is cut does not."""
    return any(map(_joins, text[:_CHAR].decode(errors="replace")[:1]))


class WordCompletions:
    """Finds the tokens of a vocabulary that complete words.

    Args:
        pieces: the bytes of each token, by id; none for one that is no text.
    """

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = {True: [piece.lower() for piece in pieces], False: list(pieces)}
        self._ids = {piece: token_id for token_id, piece in enumerate(pieces)}
        self._found: dict[tuple[Form, int, bool], tuple[int, ...]] = {}

    def completing(self, word: str, text: bytes) -> frozenset[int]:
        """Return the tokens behind a text that would complete a word, which may be in its end."""
        ids: set[int] = set()
        for form in forms(word):
            tail = _folded(text[-len(form.text) - _CHAR :], form.folds)
            for done in self._begun(form, tail):
                joins = not done and form.begins and _joins_before(tail)
                ids.update(self._completing(form, done, joins))
        return frozenset(ids)

    def going_on(self, word: str, text: bytes) -> int | None:
        """Return the longest token that goes on with a word which none completes behind a text."""
        form = forms(word)[0]
        tail = _folded(text[-len(form.text) - _CHAR :], form.folds)
        for done in sorted(self._begun(form, tail), reverse=True):
            if self._completing(form, done, joins=False):
                return None
            written = word.encode()
            space = b"" if done or not tail or tail[-1:].isspace() else b" "
            for end in range(len(written) - 1, done, -1):
                token_id = self._ids.get(space + written[done:end])
                if token_id is not None:
                    return token_id
        return None

    @staticmethod
    def _begun(form: Form, tail: bytes) -> Iterable[int]:
        """How many bytes of a word a text ends with: several numbers, of which 0 always is one."""
        yield 0
        for done in range(1, min(len(form.text), len(tail) + 1)):
            if tail.endswith(form.text[:done]) and not (
                form.begins and _joins_before(tail[:-done])
            ):
                yield done

    def _completing(self, form: Form, done: int, joins: bool) -> tuple[int, ...]:
        """The tokens behind the first `done` bytes of a word that complete it.

        Args:
            joins: a word of which the token's first character is a part has begun before.
        """
        key = form, done, joins
        if key not in self._found:
            rest = form.text[done:]
            self._found[key] = tuple(
                token_id
                for token_id, piece in enumerate(self._pieces[form.folds])
                if rest in piece and _completes(piece, rest, form, done, joins)
            )
        return self._found[key]


def _completes(piece: bytes, rest: bytes, form: Form, done: int, joins: bool) -> bool:
    """Whether the rest of a word stands in a token, and no letter of the same word beside it."""
    at = piece.find(rest)
    while at >= 0 and not (done and at):
        before = joins if not at else form.begins and _joins_before(piece[:at])
        behind = piece[at + len(rest) :]
        if not before and not (form.ends and _joins_behind(behind)):
            return True
        at = piece.find(rest, at + 1)
    return False
