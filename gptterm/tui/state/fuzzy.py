"""Fuzzy matching of typed text with the names in a list."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeVar

_Item = TypeVar("_Item")


class Match(NamedTuple):
    """How a query matches a text; the lowest is the best."""

    rank: int
    """0 a beginning, 1 the beginning of a word, 2 within, 3 letters in their order, 4 elsewhere."""
    positions: tuple[int, ...] = ()
    """Characters of the text that matched."""


def match(query: str, text: str, more: str = "") -> Match | None:
    """Match every word of a query.

    Args:
        query: Typed text, in any case.
        text: Text to match, whose letters may have others between them.
        more: Text that a word may be in instead, whole.

    Returns:
        The match by its worst word; None if a word does not match.
    """
    folded, elsewhere = _fold(text), _fold(more)
    rank, positions = 0, set[int]()
    for word in _fold(query).split():
        found = _match_word(word, folded)
        if found is None:
            if word not in elsewhere:
                return None
            rank = 4
            continue
        rank = max(rank, found.rank)
        positions.update(found.positions)
    return Match(rank, tuple(sorted(positions)))


def best(
    query: str, items: Iterable[_Item], texts: Callable[[_Item], tuple[str, str]]
) -> list[tuple[_Item, Match]]:
    """Return the items that match, the best first, else in their order.

    Args:
        query: Typed text.
        items: The items.
        texts: An item's text and the other text to look in.
    """
    found = [(item, hit) for item in items if (hit := match(query, *texts(item))) is not None]
    return sorted(found, key=lambda pair: pair[1].rank)


def _fold(text: str) -> str:
    """Lower the case of each character that stays one character by that."""
    return "".join(low if len(low := c.lower()) == 1 else c for c in text)


def _match_word(word: str, text: str) -> Match | None:
    at = text.find(word)
    if at >= 0:
        starts = [at, *_word_starts(word, text)]
        begin = starts[-1] if at else 0
        is_start = begin == 0 or not text[begin - 1].isalnum()
        rank = 0 if begin == 0 else 1 if is_start else 2
        return Match(rank, tuple(range(begin, begin + len(word))))
    positions: list[int] = []
    for character in word:
        at = text.find(character, positions[-1] + 1 if positions else 0)
        if at < 0:
            return None
        positions.append(at)
    return Match(3, tuple(positions))


def _word_starts(word: str, text: str) -> list[int]:
    """Return where `word` first begins a word of the text, if anywhere."""
    at = text.find(word)
    while at >= 0:
        if at == 0 or not text[at - 1].isalnum():
            return [at]
        at = text.find(word, at + 1)
    return []
