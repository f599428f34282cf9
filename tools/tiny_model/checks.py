"""Automatic checks of stories and answers."""

from __future__ import annotations

import re
from collections.abc import Iterable

from . import world

_SENTENCE_END = re.compile(r"[.!?]\"?(?:\s|$)")
_KINDS = sorted(world.KINDS, key=len, reverse=True)
_KIND = "|".join(_KINDS)
_REFERENCE = re.compile(rf"\bthe (?:little )?({_KIND})\b", re.IGNORECASE)
# What may stand before "the fox" at the start of a sentence and is not its name.
_NOT_A_NAME = (
    "After|Also|And|As|At|Before|Behind|Beside|Between|But|By|Did|Even|For|From|How|If|In|Inside|"
    "Is|Just|Near|Next|Not|Now|On|Once|Only|Over|So|Soon|Suddenly|That|Then|Though|To|Together|"
    "Under|Was|What|When|Where|While|Who|Why|With"
)
_NAME = re.compile(rf"\b({'|'.join(world.NAMES)})\b")


def contains(text: str, wanted: Iterable[str]) -> bool:
    """Whether the text contains every wanted word as a whole word, ignoring case."""
    return all(re.search(rf"\b{re.escape(w)}(?:e?s)?\b", text, re.IGNORECASE) for w in wanted)


def answers(text: str, key: str) -> bool:
    """Whether an answer contains one of the key's alternatives."""
    return any(contains(text, (option,)) for option in key.split("|"))


def _sentence_with(text: str, at: int) -> int:
    end = _SENTENCE_END.search(text, at)
    return end.end() if end else len(text)


def strangers(text: str, prompt: str = "") -> set[str]:
    """Find characters that a story mentions with a definite article before it introduces them.

    A kind is introduced by "a fox" or "Pip the fox"; a name by "named Pip", "Pip was a", "I am
    Pip" and the like, at the latest in the sentence that first has it. What the prompt names is
    known.
    """
    found = set()
    for match in _REFERENCE.finditer(text):
        kind = match[1].lower()
        told = f"{prompt} {text[: _sentence_with(text, match.start())]}"
        if not (
            re.search(rf"\b(?:an?|no)(?: [\w-]+)? {kind}\b", told, re.IGNORECASE)
            or re.search(rf"\b(?!(?:{_NOT_A_NAME})\b)[A-Z]\w+,? the(?: \w+)? {kind}\b", told)
            or re.search(rf"\bThe(?: \w+)? {kind} (?:had no name|.*was called)", told)
            or re.match(rf"(?:<\S+>)*The(?: \w+)? {kind}\b", f"{prompt}{text}")
        ):
            found.add(kind)
    for name in set(_NAME.findall(text)):
        first = re.search(rf"\b{name}\b", text)
        told = text[: _sentence_with(text, first.start() if first else 0)]
        introduced = (
            rf"(?:named|called|name (?:was|is)|I am|like) {name}\b|\b{name},? the \b"
            rf"|\b{name} was an? "
        )
        if name not in prompt and not re.search(introduced, told):
            found.add(name)
    return found


def repeated(text: str, size: int = 4) -> float:
    """Share of a text's word n-grams that are repeated."""
    words = re.findall(r"\w+", text.lower())
    grams = [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0
