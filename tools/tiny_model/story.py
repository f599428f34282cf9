"""Synthetic stories: a cast, a plot and the telling, from seeds."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from . import world
from .grammar import a, capital, expand
from .openings import CLOSINGS, MORE, OPENINGS, OPENINGS_UNNAMED, TRAITS
from .plots import PLOTS, Plot

_SUBJECT = re.compile(r"\b(did|was) {h}(?=[ ?])")


@dataclass(frozen=True)
class Figure:
    """Character of a story: a kind ("fox"), perhaps a name, and "he" or "she"."""

    kind: str
    name: str | None
    pronoun: str
    adjective: str

    @property
    def key(self) -> str:
        """` between them.|Words that denote the character, joined by `|`.|` between them."""
        return f"{self.name}|{self.kind}" if self.name else self.kind


@dataclass(frozen=True)
class Cast:
    """Characters, thing and place of a story; the place is (preposition, noun with article)."""

    hero: Figure
    friend: Figure
    thing: str
    look: str
    place: tuple[str, str]


def invented(rng: random.Random) -> str:
    """Draw a nonsense word, which the model can only copy."""
    syllables = rng.choice((1, 2, 2))
    return "".join(
        rng.choice(world.ONSETS) + rng.choice(world.VOWELS) for _ in range(syllables)
    ) + rng.choice(world.CODAS)


def draw_figure(rng: random.Random, kind: str | None = None, name: str | None = None) -> Figure:
    """Draw a character; given parts stay."""
    if kind is None:
        kinds = world.ANIMALS if rng.random() < 0.65 else world.KINDS
        kind = invented(rng) if rng.random() < 0.03 else rng.choice(kinds)
    pronoun = world.PEOPLE.get(kind) or rng.choice(("he", "she"))
    drawn = rng.choice(world.HE_NAMES if pronoun == "he" else world.SHE_NAMES)
    if rng.random() < 0.04:
        drawn = capital(invented(rng))
    named = rng.random() < 0.75
    adjective = rng.choice(world.TRAITS if rng.random() < 0.4 else world.SIZES)
    return Figure(kind, name or (drawn if named else None), pronoun, adjective)


def draw_cast(rng: random.Random) -> Cast:
    """Draw a cast without a common kind or name."""
    hero = draw_figure(rng)
    friend = draw_figure(rng)
    while friend.kind == hero.kind or (friend.name and friend.name == hero.name):
        friend = draw_figure(rng)
    thing = invented(rng) if rng.random() < 0.04 else rng.choice(world.THINGS_ONLY)
    return Cast(hero, friend, thing, rng.choice(world.LOOKS), rng.choice(world.PLACES))


class Slots(Mapping[str, str]):
    """Slots of one story; `h` and `f` alternate between name and kind. Records the slots used."""

    def __init__(self, cast: Cast, rng: random.Random) -> None:
        self.cast = cast
        self.used: set[str] = set()
        self._rng = rng
        place, (prep2, place2) = cast.place, rng.choice(world.PLACES)
        while place2 == place[1]:
            prep2, place2 = rng.choice(world.PLACES)
        self._fixed = {
            "t": cast.thing,
            "t_look": f"{cast.look} {cast.thing}",
            "a_t": a(f"{cast.look} {cast.thing}"),
            "p": place[1],
            "in_p": f"{place[0]} {place[1]}",
            "home": f"{place[0]} {place[1]}",
            "to_p": f"to {place[1]}",
            "p2": place2,
            "in_p2": f"{prep2} {place2}",
            "spot": rng.choice(world.SPOTS),
            "sound": rng.choice(world.SOUNDS),
            "food": rng.choice(world.FOODS),
            "sad": rng.choice(world.SAD),
            "happy": rng.choice(world.HAPPY),
            "scared": rng.choice(world.SCARED),
            "fear": rng.choice(world.FEARS),
            "job": rng.choice(world.JOBS),
            "hobby": rng.choice(world.HOBBIES),
            "trait": rng.choice(world.TRAITS),
            "weather": rng.choice(world.WEATHERS),
            "time": rng.choice(world.TIMES),
            "a_hk": a(cast.hero.kind),
            "a_fk": a(cast.friend.kind),
            "time_end": rng.choice(("the moon came up", "it was dark", "the stars were out")),
            "plant": rng.choice(world.PLANTS),
        }
        self._fixed["a_weather"] = a(self._fixed["weather"])
        self._add_figure("h", "", cast.hero)
        self._add_figure("f", "f", cast.friend)
        self._fixed["a_hero"] = self._introduction(cast.hero)
        self._fixed["a_friend"] = self._introduction(cast.friend)
        self._fixed["size"] = cast.hero.adjective

    def _add_figure(self, key: str, prefix: str, figure: Figure) -> None:
        he = figure.pronoun
        self._fixed |= {
            f"{key}k": figure.kind,
            f"{key}_name": figure.name or f"little {figure.kind}",
            f"{key}_key": figure.key,
            f"{prefix}he": he,
            f"{prefix}him": "him" if he == "he" else "her",
            f"{prefix}his": "his" if he == "he" else "her",
            f"{prefix}himself": "himself" if he == "he" else "herself",
        }

    def _introduction(self, figure: Figure) -> str:
        plain = a(f"{figure.adjective} {figure.kind}")
        word = self._rng.choice(("named", "called", "named"))
        return f"{plain} {word} {figure.name}" if figure.name else plain

    def __getitem__(self, key: str) -> str:
        self.used.add(key)
        if key in ("h", "f"):
            return self._refer(self.cast.hero if key == "h" else self.cast.friend)
        if key in ("h_s", "f_s"):
            return self[key[0]] + "'s"
        return self._fixed[key]

    def _refer(self, figure: Figure) -> str:
        roll = self._rng.random()
        if figure.name and roll < 0.8:
            return figure.name
        return f"the little {figure.kind}" if roll > 0.97 else f"the {figure.kind}"

    def __iter__(self) -> Iterator[str]:
        return iter((*self._fixed, "h", "f", "h_s", "f_s"))

    def __len__(self) -> int:
        return len(self._fixed) + 4


@dataclass(frozen=True)
class Asked:
    """A question about a story, a right answer, and words of which an answer contains one."""

    ask: str
    answer: str
    key: str


@dataclass(frozen=True)
class Story:
    """A told story: its text, and what questions about it need."""

    text: str
    plot: Plot
    cast: Cast
    seed: int
    slots: Slots
    ending: str

    def short(self) -> str:
        """Summary in two or three sentences."""
        return self._say(random.Random(self.seed), self.plot.short)

    def more(self) -> str:
        """Draw a continuation."""
        return self._say(random.Random(self.seed + 1), MORE)

    def moral(self) -> str:
        """Draw a moral."""
        return self._say(random.Random(self.seed), self.plot.moral)

    def _say(self, rng: random.Random, templates: tuple[str, ...]) -> str:
        return expand(rng.choice(templates), self.slots, rng)

    def questions(self, rng: random.Random) -> list[Asked]:
        """All questions about the story, in random order."""
        asked = []
        for question in self.plot.questions:
            needs = set(re.findall(r"{(\w+)}", question.key))
            if all(self._told(slot) for slot in needs):
                ask = rng.choice(question.asks.split("|"))
                asked.append(self._asked(ask, question.answer, question.key, rng))
        hero, friend = self.cast.hero, self.cast.friend
        asked.append(
            self._asked("Who is the story about?", "The story is about {a_hero}.", "{h_key}", rng)
        )
        if hero.name:
            asked.append(
                self._asked(
                    "What is the name of the {hk}?",
                    f"The {{hk}}'s name is {hero.name}.",
                    hero.name,
                    rng,
                )
            )
            asked.append(
                self._asked(f"Who is {hero.name}?", f"{hero.name} is {{a_hk}}.", "{hk}", rng)
            )
        if friend.name and self._told("f_key"):
            asked.append(
                self._asked(
                    "What is the name of the {fk}?",
                    f"The {{fk}}'s name is {friend.name}.",
                    friend.name,
                    rng,
                )
            )
            asked.append(
                self._asked(f"Who is {friend.name}?", f"{friend.name} is {{a_fk}}.", "{fk}", rng)
            )
        if self.slots.used & {"a_t", "t_look"}:
            look = self.cast.look
            asked.append(
                self._asked(
                    rng.choice(("What was the {t} like?", "What kind of {t} was it?")),
                    "It was {a_t}.",
                    look,
                    rng,
                )
            )
        if "home" in self.slots.used:
            asked.append(self._asked("Where did {h} live?", "{H} lived {in_p}.", "{p}", rng))
        rng.shuffle(asked)
        return asked

    def _asked(self, ask: str, answer: str, key: str, rng: random.Random) -> Asked:
        slots = self.slots
        if rng.random() < 0.12:  # "What did he find?"
            ask = _SUBJECT.sub(r"\1 {he}", ask)
            ask = ask.replace("ed {h}?", "ed {him}?")
        return Asked(expand(ask, slots, rng), expand(answer, slots, rng), expand(key, slots, rng))

    def _told(self, slot: str) -> bool:
        told = self.slots.used
        same = {
            "f_key": ("a_friend",),
            "t": ("a_t", "t_look"),
            "p": ("in_p", "to_p"),
            "h_key": ("a_hero",),
        }
        return bool(told.intersection((slot, *same.get(slot, ()))))


def choose_plot(rng: random.Random, cast_wants: frozenset[str], topic: str | None = None) -> Plot:
    """Draw a plot that uses all required slots ("thing")."""
    plots = [
        plot
        for plot in PLOTS
        if (plot.thing or "thing" not in cast_wants)
        and (topic is None or topic in plot.topics)
        and not (plot.name == "magic" and "friend" in cast_wants)
    ]
    return rng.choice(plots)


def tell(plot: Plot, cast: Cast, seed: int) -> Story:
    """Tell a plot with a cast; the same seed makes the same choices."""
    rng = random.Random(seed)
    slots = Slots(_with_names(cast) if plot.named else cast, random.Random(seed))
    cast = slots.cast
    openings = OPENINGS if cast.hero.name else OPENINGS_UNNAMED
    start = [expand(rng.choice(openings), slots, rng)]
    if rng.random() < 0.65:
        said = slots.used & {"hobby", "trait"}
        traits = [trait for trait in TRAITS if not any(f"{{{slot}}}" in trait for slot in said)]
        start.append(expand(rng.choice(traits), slots, rng))
    parts = [expand(rng.choice(beat), slots, rng) for beat in plot.beats]
    middle, end = parts[:-2], parts[-2:]
    if rng.random() < 0.25:
        closing = expand(rng.choice((*CLOSINGS, *plot.moral)), slots, rng)
        end.append(closing)
    between = "\n\n" if rng.random() < 0.25 else " "
    text = between.join(" ".join(filter(None, group)) for group in (start, middle, end))
    slots.used.discard("f_key")
    slots.used.discard("h_key")
    return Story(text, plot, cast, seed, slots, parts[-1] or parts[-2])


def _with_names(cast: Cast) -> Cast:
    hero, friend = cast.hero, cast.friend
    names = {"he": world.HE_NAMES, "she": world.SHE_NAMES}
    if not hero.name:
        choices = [name for name in names[hero.pronoun] if name != friend.name]
        hero = replace(hero, name=choices[sum(map(ord, hero.kind + cast.thing)) % len(choices)])
    if not friend.name:
        choices = [name for name in names[friend.pronoun] if name != hero.name]
        friend = replace(
            friend, name=choices[sum(map(ord, friend.kind + cast.thing)) % len(choices)]
        )
    return replace(cast, hero=hero, friend=friend)
