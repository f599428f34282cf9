"""Search: what a user typed becomes an expression of FTS5, and matches are found in a text.

A word finds words that begin with it; "in quotes" are whole words in just this order. Case and
the accents of Latin letters do not count. Scripts that put no spaces between words are indexed a
character at a time, so that any part of a text is found. Signs are no words: beside the words,
each sign of a text and each pair of neighbours with a sign in it is indexed.
"""

import functools
import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

_UNSPACED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Myanmar, Khmer
    "\u2e80-\u2fdf\u3005-\u3007\u3040-\u312f\u31f0-\u31ff\uff66-\uff9f"  # kana, radicals
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Chinese characters
    "\ua000-\ua4cf"  # Yi
    "\uac00-\ud7af"  # Hangul has spaces, but particles grow on its words
)
_CHARACTER = re.compile(f"([{_UNSPACED}])")
_TOKEN = re.compile(f"(?=[^\\W_])[{_UNSPACED}]|[^\\W_{_UNSPACED}]+")
_SIGN = re.compile(r"[^\w\s]|_")
_PIECE = re.compile(r'"([^"]*)"?|([^\s"]+)')
_LIKE_SIGN = re.compile(r"[%_\\]")
_ACCENTS = "[\u0300-\u036f]*"
FOLDED_AT_MOST = 200_000
"""Characters of a text in which matches are looked for."""
WIDTH = 160
"""Characters of a snippet."""
BEFORE = 40
"""Of them, at most so many before the first match."""


def spaced(text: str) -> str | None:
    """`text` as it is indexed: characters of unspaced scripts apart. None: as it is."""
    if text.isascii() or _CHARACTER.search(text) is None:
        return None
    return _CHARACTER.sub(r" \1 ", text)


def signs(text: str) -> str | None:
    """The signs of `text` as they are indexed: one character for each, and for each pair. None: it
    has none."""
    codes: set[str] = set()
    for part in _parts(text):
        codes.update(*_codes(part))
    return " ".join(sorted(codes)) or None


def _parts(text: str) -> set[str]:
    """Its signs with their neighbours."""
    return {text[max(0, match.start() - 1) : match.end() + 1] for match in _SIGN.finditer(text)}


@functools.lru_cache(maxsize=1 << 14)
def _codes(part: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the signs in two or three characters, and of the pairs, which have no space in them."""
    folded = fold(part)
    pairs = (pair for pair in (folded[:2], folded[1:]) if len(pair) == 2 and pair.split() == [pair])
    single = _SIGN.findall(folded)
    return tuple(map(_code, single)), tuple(_code(pair) for pair in pairs if _SIGN.search(pair))


def _code(signs: str) -> str:
    """A character for private use, which FTS5 takes for a word. That others have the same one
    makes for work, not for hits: what is found is looked at."""
    number = 0
    for sign in signs:
        number = number * 1009 + ord(sign)
    return chr(0xF0000 + number % 65_521)


class Query(NamedTuple):
    """What is asked of the database, and how matches are found in a text."""

    words: str
    """An expression of FTS5; empty where there is no word to look up."""
    signs: str
    """Another for the signs. What it finds need not have them in a row."""
    contains: tuple[str, ...]
    """Texts that must be there too, as patterns of LIKE with the escape character `\\`."""
    patterns: tuple[re.Pattern[str], ...]
    """Each finds one part of the query in a folded text. An empty query has none, finds nothing."""


def parse(typed: str) -> Query:
    """Understand a query. Nothing that can be typed is an error."""
    expressions, marks, contains, patterns = [], [], [], []
    # A null character would end the expression for SQLite.
    for quoted, word in _PIECE.findall(typed.replace("\0", " ")):
        piece = quoted or word
        if not piece.strip():
            continue
        tokens = _TOKEN.findall(piece)
        # One letter begins half of all words.
        prefix = not quoted and len(tokens[-1:] and tokens[-1]) > 1
        if tokens:
            expressions.append(f'"{" ".join(tokens)}"' + (" *" if prefix else ""))
        if _needs_text(piece, tokens):
            marks += sorted(_looked_up(piece))
            contains.append("%" + _LIKE_SIGN.sub(r"\\\g<0>", piece) + "%")
            patterns.append(re.escape(fold(piece)))
        else:
            patterns.append(_word_pattern(tokens, prefix=prefix))
    return Query(
        " AND ".join(expressions),
        " AND ".join(f'"{mark}"' for mark in marks),
        tuple(contains),
        tuple(map(re.compile, patterns)),
    )


def _looked_up(piece: str) -> set[str]:
    """The codes of a piece's signs that are worth it: a pair tells more than a sign."""
    return {code for part in _parts(piece) for code in _codes(part)[1] or _codes(part)[0]}


def _needs_text(piece: str, tokens: list[str]) -> bool:
    """Whether the index knows too little of a piece: it has no signs and no vowel marks."""
    letters = sum(map(len, tokens))
    if any(unicodedata.category(c) in ("Mn", "Mc") and not _is_accent(c) for c in piece):
        return True
    return letters < len(piece) and letters < 3 and len(tokens) < 2


def _is_accent(character: str) -> bool:
    return "\u0300" <= character <= "\u036f"


def _word_pattern(tokens: list[str], *, prefix: bool) -> str:
    words = (_ACCENTS.join(map(re.escape, fold(token))) + _ACCENTS for token in tokens)
    # Between the tokens of a phrase the index sees only that no word stands there.
    pattern = r"[\W_]*".join(words)
    if _CHARACTER.match(tokens[0]) is None:
        pattern = rf"(?<![^\W_]){pattern}"
    if not prefix and _CHARACTER.match(tokens[-1]) is None:
        pattern = rf"{pattern}(?![^\W_])"
    return pattern


def fold(text: str) -> str:
    """`text` without case and Latin accents, character by character: positions stay."""
    return text.lower() if text.isascii() else "".join(map(_fold, text))


@functools.lru_cache(maxsize=4096)
def _fold(character: str) -> str:
    parts = unicodedata.normalize("NFD", character)
    accented = len(parts) > 1 and all(map(_is_accent, parts[1:]))
    folded = (parts[0] if accented else character).lower()
    return folded if len(folded) == 1 else character


def ranges(text: str, query: Query) -> list[tuple[int, int]]:
    """Where the matches are in `text`: begins and ends, in characters, apart and in order."""
    folded = fold(text[:FOLDED_AT_MOST])
    spans = sorted(match.span() for word in query.patterns for match in word.finditer(folded))
    found: list[tuple[int, int]] = []
    for begin, end in spans:
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        elif end > begin:
            found.append((begin, end))
    return found


def finder(typed: str) -> Callable[[str], list[tuple[int, int]]]:
    """What finds the matches of a query in texts, as `ranges` does."""
    query = parse(typed)
    return lambda text: ranges(text, query)


def has_all(text: str, query: Query) -> bool:
    """Whether every part of the query is in `text`."""
    folded = fold(text[:FOLDED_AT_MOST])
    return all(word.search(folded) for word in query.patterns)


class Snippet(NamedTuple):
    """A line of a text, and what of it to highlight."""

    text: str
    ranges: tuple[tuple[int, int], ...]


def snippet(text: str, query: Query) -> Snippet:
    """The surroundings of the first match, as one line."""
    found = ranges(text, query)
    begin = max(0, found[0][0] - BEFORE) if found else 0
    if begin > 0:
        # Not in the middle of a word, if there is a space soon.
        space = text.find(" ", begin, begin + BEFORE // 2)
        begin = space + 1 if 0 <= space < found[0][0] else begin
    end = min(len(text), begin + WIDTH)
    cut = re.sub(r"\s", " ", text[begin:end])
    left, right = "…" if begin > 0 else "", "…" if end < len(text) else ""
    shift = len(left) - begin
    inside = tuple(
        (start + shift, min(stop, end) + shift) for start, stop in found if begin <= start < end
    )
    return Snippet(f"{left}{cut}{right}", inside)
