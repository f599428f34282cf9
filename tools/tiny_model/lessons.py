"""Short exercises in copying and coreference, which stories need.

In a story most words follow from the sentence they are in; here nearly every word of an answer
has to be taken from what was said before.
"""

from __future__ import annotations

import random

from . import world
from .chat import Turn, very_short
from .grammar import a, capital, expand
from .story import Cast, Figure, draw_cast, invented

_REPEAT = (
    "[Say|Repeat|Say this|Repeat this|Repeat after me|Copy this]: {x}",
    "Say {x}[.|]",
    "Can you repeat this? {x}",
)
_FACTS = (
    "{Name} is {a_kind}. {Other} is {an_other}.",
    "{Name} the {kind} has {a_t}. {Other} the {other_kind} has {a_u}.",
    "There is {a_kind} named {name} {in_p}, and {an_other} named {other} {in_q}.",
    "{A_kind} called {name} has {a_t}, and {an_other} called {other} has {a_u}.",
    "The {kind} is called {name}, and the {other_kind} is called {other}.",
)
# For each form of the facts, what can be asked about the first and about the second.
_ASKS: tuple[tuple[tuple[str, str], ...], ...] = (
    (
        ("Who is the {kind}?", "{Name} is the {kind}."),
        ("What is {name}?", "{Name} is {a_kind}."),
        ("Who is {name}?", "{Name} is {a_kind}."),
    ),
    (
        ("Who has the {t}?", "{Name} has the {t}."),
        ("What does {name} have?", "{Name} has {a_t}."),
        ("What does the {kind} have?", "The {kind} has {a_t}."),
        ("Who is {name}?", "{Name} is the {kind}."),
    ),
    (
        ("Where is {name}?", "{Name} is {in_p}."),
        ("Where is the {kind}?", "The {kind} is {in_p}."),
        ("Who is {in_p}?", "{Name} the {kind} is {in_p}."),
        ("What is the name of the {kind}?", "The {kind}'s name is {name}."),
    ),
    (
        ("Who has the {t}?", "{Name} the {kind} has the {t}."),
        ("What does {name} have?", "{Name} has {a_t}."),
        ("What is the name of the {kind}?", "The {kind}'s name is {name}."),
    ),
    (
        ("What is the name of the {kind}?", "The {kind}'s name is {name}."),
        ("Who is {name}?", "{Name} is the {kind}."),
    ),
)


def _words(rng: random.Random) -> str:
    kinds = (world.KINDS, world.THINGS_ONLY, world.NAMES, world.OTHER_WORDS, world.LOOKS)
    count = rng.randint(2, 16)
    return " ".join(
        invented(rng) if rng.random() < 0.15 else rng.choice(rng.choice(kinds))
        for _ in range(count)
    )


def repeat(rng: random.Random) -> list[Turn]:
    """Draw a copying exercise."""
    turns = []
    for _ in range(rng.randint(1, 3)):
        words = _words(rng)
        ask = rng.choice(_REPEAT).replace("{x}", "\0")
        turns += [
            Turn("user", expand(ask, {}, rng).replace("\0", words)),
            Turn("assistant", words),
        ]
    return turns


def _slots(first: Cast, second: Cast, names: tuple[str, str]) -> dict[str, str]:
    hero, friend = first.hero, first.friend
    return {
        "name": names[0],
        "kind": hero.kind,
        "a_kind": a(f"{hero.adjective} {hero.kind}"),
        "other": names[1],
        "other_kind": friend.kind,
        "an_other": a(f"{friend.adjective} {friend.kind}"),
        "t": first.thing,
        "a_t": a(f"{first.look} {first.thing}"),
        "a_u": a(f"{second.look} {second.thing}"),
        "u": second.thing,
        "in_p": " ".join(first.place),
        "in_q": " ".join(second.place),
    }


def _turned(slots: dict[str, str]) -> dict[str, str]:
    """Swap the two subjects of a pair of facts."""
    pairs = {
        "name": "other",
        "kind": "other_kind",
        "a_kind": "an_other",
        "t": "u",
        "a_t": "a_u",
        "in_p": "in_q",
    }
    back = {value: key for key, value in pairs.items()}
    return {key: slots[(pairs | back)[key]] for key in slots}


def who_is_who(rng: random.Random) -> list[Turn]:
    """Draw two facts and questions about them."""
    first, second = draw_cast(rng), draw_cast(rng)
    while second.thing == first.thing or second.place == first.place:
        second = draw_cast(rng)
    names = (_name(first.hero, rng), _name(first.friend, rng))
    if names[0] == names[1]:
        return who_is_who(rng)
    slots = _slots(first, second, names)
    form = rng.randrange(len(_FACTS))
    told = expand(_FACTS[form], slots, rng)
    turns = []
    for number in range(rng.randint(1, 4)):
        view = slots if rng.random() < 0.5 else _turned(slots)
        ask, answer = rng.choice(_ASKS[form])
        asked = expand(ask, view, rng)
        turns += [
            Turn("user", f"{told} {asked}" if number == 0 else asked),
            Turn("assistant", expand(answer, view, rng)),
        ]
    return turns


def _name(figure: Figure, rng: random.Random) -> str:
    if figure.name:
        return figure.name
    if rng.random() < 0.1:
        return capital(invented(rng))
    return rng.choice(world.HE_NAMES if figure.pronoun == "he" else world.SHE_NAMES)


def lesson(rng: random.Random) -> list[Turn]:
    """Draw an exercise of any kind."""
    return rng.choice((repeat, who_is_who, who_is_who, very_short))(rng)
