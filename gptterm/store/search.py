"""Full-text search: parse a typed query into an FTS5 expression, find its matches in a text.

A word matches words that begin with it; "in quotes" matches whole words in this order. Case and
the accents of Latin letters are ignored: STRASSE finds straße. Scripts without spaces between
words are indexed by character, so that any part of a text is found. Signs (punctuation and
symbols) are not part of words, so each sign, and each pair of neighbouring characters with a sign
in it, is indexed too.
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
# Strings: `re` compiles them when they are first used, which takes 5 ms.
_CHARACTER = f"([{_UNSPACED}])"
_TOKEN = f"(?=[^\\W_])[{_UNSPACED}]|[^\\W_{_UNSPACED}]+"
_SIGN = re.compile(r"[^\w\s]|_")
_PIECE = re.compile(r'"([^"]*)"?|([^\s"]+)')
_LIKE_SIGN = re.compile(r"[%_\\]")
_ACCENTS = "[\u0300-\u036f]*"
MAX_FOLDED_CHARS = 200_000
"""Length of the beginning of a text in which matches are located."""
SNIPPET_CHARS = 160
"""Length of a snippet."""
LEAD_CHARS = 40
"""Most characters of a snippet before its first match."""


def spaced(text: str) -> str | None:
    """The form of a text for the index; None where that is the text itself.

    Characters of unspaced scripts get spaces around them. Case is folded if FTS5, which knows
    lower case only, would leave a difference.
    """
    if text.isascii():
        return None
    folded = _folded_fully(text)
    found = re.sub(_CHARACTER, r" \1 ", folded)
    return None if found == text else found


def _folded_fully(text: str) -> str:
    """Fold case, by more than one character where that takes it (ß); else return the text."""
    folded = text.casefold()
    return text if folded == text.lower() else folded


def signs(text: str) -> str | None:
    """Encode the signs of `text` for the index, one character for each sign and each pair.

    None where it has no signs.
    """
    codes: set[str] = set()
    for part in _parts(text):
        codes.update(*_codes(part))
    return " ".join(sorted(codes)) or None


def _parts(text: str) -> set[str]:
    """The signs of a text with their neighbours."""
    return {text[max(0, match.start() - 1) : match.end() + 1] for match in _SIGN.finditer(text)}


@functools.lru_cache(maxsize=1 << 14)
def _codes(part: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Index codes of the signs, and of the pairs without a space, in two or three characters."""
    folded = fold(part)
    pairs = (pair for pair in (folded[:2], folded[1:]) if len(pair) == 2 and pair.split() == [pair])
    single = _SIGN.findall(folded)
    return tuple(map(_code, single)), tuple(_code(pair) for pair in pairs if _SIGN.search(pair))


def _code(signs: str) -> str:
    """Hash a sign or pair to a private-use character, which FTS5 treats as a word.

    A collision costs time, not a false hit: the texts of candidates are compared too.
    """
    number = 0
    for sign in signs:
        number = number * 1009 + ord(sign)
    return chr(0xF0000 + number % 65_521)


class Query(NamedTuple):
    """A parsed query: expressions for the database and patterns for a text."""

    words: str
    """FTS5 expression; empty where the query has no words."""
    signs: str
    """FTS5 expression for the signs, which its matches may have in any order."""
    contains: tuple[str, ...]
    """Patterns of LIKE, with the escape character `\\`, that must match too."""
    patterns: tuple[re.Pattern[str], ...]
    """One pattern for each part of the query, for folded text. An empty query has none."""


def parse(typed: str) -> Query:
    """Parse a typed query. No input is an error."""
    expressions, marks, contains, patterns = [], [], [], []
    # A null character would end the expression for SQLite.
    for quoted, word in _PIECE.findall(typed.replace("\0", " ")):
        piece = quoted or word
        if not piece.strip():
            continue
        tokens = re.findall(_TOKEN, piece)
        # Half of all words begin with any one letter.
        prefix = not quoted and len(tokens[-1:] and tokens[-1]) > 1
        if tokens:
            words = " ".join(map(_folded_fully, tokens))
            expressions.append(f'"{words}"' + (" *" if prefix else ""))
        if _needs_text(piece, tokens):
            marks += sorted(_looked_up(piece))
            contains.append("%" + _LIKE_SIGN.sub(r"\\\g<0>", piece) + "%")
            patterns.append(re.escape(_expanded(fold(piece))[0]))
        else:
            patterns.append(_word_pattern(tokens, prefix=prefix))
    return Query(
        " AND ".join(expressions),
        " AND ".join(f'"{mark}"' for mark in marks),
        tuple(contains),
        tuple(map(re.compile, patterns)),
    )


def _looked_up(piece: str) -> set[str]:
    """The index codes to look up for a piece: pairs, which are rarer, else single signs."""
    return {code for part in _parts(piece) for code in _codes(part)[1] or _codes(part)[0]}


def _needs_text(piece: str, tokens: list[str]) -> bool:
    """Whether the word index is not enough for a piece: it has no signs and no vowel marks."""
    letters = sum(map(len, tokens))
    if any(unicodedata.category(c) in ("Mn", "Mc") and not _is_accent(c) for c in piece):
        return True
    return letters < len(piece) and letters < 3 and len(tokens) < 2


def _is_accent(character: str) -> bool:
    return "\u0300" <= character <= "\u036f"


def _word_pattern(tokens: list[str], *, prefix: bool) -> str:
    words = (
        _ACCENTS.join(map(re.escape, _expanded(fold(token))[0])) + _ACCENTS for token in tokens
    )
    # The index knows only that there is no word between the tokens of a phrase.
    pattern = r"[\W_]*".join(words)
    if re.match(_CHARACTER, tokens[0]) is None:
        pattern = rf"(?<![^\W_]){pattern}"
    if not prefix and re.match(_CHARACTER, tokens[-1]) is None:
        pattern = rf"{pattern}(?![^\W_])"
    return pattern


def fold(text: str) -> str:
    """Remove case and Latin accents, character by character, so that positions stay."""
    return text.lower() if text.isascii() else "".join(map(_fold, text))


@functools.lru_cache(maxsize=4096)
def _fold(character: str) -> str:
    parts = unicodedata.normalize("NFD", character)
    accented = len(parts) > 1 and all(map(_is_accent, parts[1:]))
    folded = (parts[0] if accented else character).casefold()
    return folded if len(folded) == 1 else character


def _expanded(folded: str) -> tuple[str, list[int] | None]:
    """Expand characters that fold to several, as ß to ss.

    Returns:
        The text, and the position in `folded` of each of its characters; None where none moved.
    """
    if folded.isascii() or len(folded.casefold()) == len(folded):
        return folded, None
    parts = [full if len(full := c.casefold()) > 1 else c for c in folded]
    return "".join(parts), [at for at, part in enumerate(parts) for _ in part]


def match_ranges(text: str, query: Query) -> list[tuple[int, int]]:
    """Locate the matches in `text`: disjoint spans (begin, end) in characters, in order."""
    folded, at = _expanded(fold(text[:MAX_FOLDED_CHARS]))
    spans = sorted(match.span() for word in query.patterns for match in word.finditer(folded))
    if at is not None:
        spans = [(at[begin], at[end - 1] + 1) for begin, end in spans if end > begin]
    found: list[tuple[int, int]] = []
    for begin, end in spans:
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(end, found[-1][1])
        elif end > begin:
            found.append((begin, end))
    return found


def match_finder(typed: str) -> Callable[[str], list[tuple[int, int]]]:
    """Return a function that locates the matches of a query in a text."""
    query = parse(typed)
    return lambda text: match_ranges(text, query)


def has_all(text: str, query: Query) -> bool:
    """Whether every part of the query matches `text`."""
    folded, _ = _expanded(fold(text[:MAX_FOLDED_CHARS]))
    return all(word.search(folded) for word in query.patterns)


class Snippet(NamedTuple):
    """One line of a text, and the spans to highlight in it."""

    text: str
    ranges: tuple[tuple[int, int], ...]


def snippet(text: str, query: Query) -> Snippet:
    """Cut out the surroundings of the first match, as one line."""
    found = match_ranges(text, query)
    begin = max(0, found[0][0] - LEAD_CHARS) if found else 0
    if begin > 0:
        # Begin after a space, if there is one soon.
        space = text.find(" ", begin, begin + LEAD_CHARS // 2)
        begin = space + 1 if 0 <= space < found[0][0] else begin
    end = min(len(text), begin + SNIPPET_CHARS)
    cut = re.sub(r"\s", " ", text[begin:end])
    left, right = "…" if begin > 0 else "", "…" if end < len(text) else ""
    shift = len(left) - begin
    inside = tuple(
        (start + shift, min(stop, end) + shift) for start, stop in found if begin <= start < end
    )
    return Snippet(f"{left}{cut}{right}", inside)
