"""Misspelt subcommands: a first word that is nearly one, before words that fit it."""

import os
from collections.abc import Sequence

GROUPS = {
    "models": ("list", "info", "path", "pull", "rm", "convert"),
    "engine": ("start", "stop", "status"),
    "history": ("list", "search", "show", "export", "import", "rm", "path", "documents"),
    "config": ("show", "path", "edit"),
}
"""Subcommands of which a word says what to do."""
LIKENESS = 0.8
"""Least ratio of difflib: one letter of five may be wrong."""


def meant_subcommand(arguments: Sequence[str], names: Sequence[str]) -> str:
    """Return the subcommand that was meant by the first word, or "" where it begins a prompt.

    Any words may be a prompt; these are none if the rest of them are what the subcommand takes.
    """
    word, *rest = arguments
    close = _nearest(word, names)
    return close if close and _fits(close, rest) else ""


def possible_subcommand(words: Sequence[str], names: Sequence[str]) -> str:
    """Return the subcommand that may have been meant by words taken as a prompt, or "".

    Beside `meant_subcommand`, of a single word any that it is nearly.
    """
    return _nearest(words[0], names) if len(words) == 1 else meant_subcommand(words, names)


def _nearest(word: str, names: Sequence[str]) -> str:
    if not (word.isalpha() and word.islower()):
        return ""
    import difflib

    close = difflib.get_close_matches(word, names, n=1, cutoff=LIKENESS)
    return close[0] if close else ""


def _fits(name: str, rest: Sequence[str]) -> bool:
    if name in GROUPS:
        return bool(rest) and rest[0] in GROUPS[name]
    return not rest or rest[0].startswith("-") or os.path.exists(rest[0])
