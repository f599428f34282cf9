"""Text templates: `[this|that]` is a choice, `{slot}` a word of the story; both nest."""

from __future__ import annotations

import functools
import random
import re
from collections.abc import Mapping

# A template is a sequence of literals, slots and choices.
Slot = tuple[str]
Choice = list["Template"]
Template = tuple["str | Slot | Choice", ...]

_TOKEN = re.compile(r"[\[\]|]|\{[A-Za-z_0-9]+\}|[^\[\]|{}]+")
_SENTENCE_START = re.compile(r"((?:^|[.!?] )\"?)([a-z])")


@functools.cache
def parse(text: str) -> Template:
    """Parse a template.

    Raises:
        ValueError: brackets that do not match.
    """
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text:
        raise ValueError(f"cannot read the template {text!r}")
    tokens.reverse()
    parsed = _sequence(tokens, text)
    if tokens:
        raise ValueError(f"unmatched bracket in the template {text!r}")
    return parsed


def _sequence(tokens: list[str], text: str) -> Template:
    parts: list[str | Slot | Choice] = []
    while tokens and tokens[-1] not in ("]", "|"):
        token = tokens.pop()
        if token == "[":
            options = [_sequence(tokens, text)]
            while tokens and tokens[-1] == "|":
                tokens.pop()
                options.append(_sequence(tokens, text))
            if not tokens:
                raise ValueError(f"unmatched bracket in the template {text!r}")
            tokens.pop()
            parts.append(options)
        elif token.startswith("{"):
            parts.append((token[1:-1],))
        else:
            parts.append(token)
    return tuple(parts)


def capital(text: str) -> str:
    """Capitalise the first letter."""
    return text[:1].upper() + text[1:]


def expand(text: str, slots: Mapping[str, str], rng: random.Random) -> str:
    """Expand a template once, with capitals at the start of sentences and quotations.

    A slot whose name starts with a capital is the slot of the small name, with a capital.

    Raises:
        KeyError: a slot that the story does not fill.
    """
    out: list[str] = []
    _expand(parse(text), slots, rng, out)
    joined = "".join(out).replace("  ", " ").strip(" ")
    return _SENTENCE_START.sub(lambda m: m[1] + m[2].upper(), joined)


def _expand(
    template: Template, slots: Mapping[str, str], rng: random.Random, out: list[str]
) -> None:
    for part in template:
        if isinstance(part, str):
            out.append(part)
        elif isinstance(part, list):
            _expand(part[int(rng.random() * len(part))], slots, rng, out)
        else:
            name = part[0]
            out.append(slots[name] if name[0].islower() else capital(slots[name.lower()]))


def a(noun: str) -> str:
    """Prefix a noun with its indefinite article."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun
