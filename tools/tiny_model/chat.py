"""Synthetic conversations: requests for stories, follow-up questions, small talk."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Literal

from . import talk, world
from .grammar import a, capital, expand
from .story import Asked, Cast, Figure, Story, choose_plot, draw_cast, draw_figure, invented, tell

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Turn:
    """A chat message."""

    role: Role
    text: str


@dataclass(frozen=True)
class Request:
    """A request for a story with that story, and the words that it must contain."""

    text: str
    wanted: tuple[str, ...]
    story: Story


def draw_request(rng: random.Random) -> Request:
    """Draw a request and a story that fulfils it."""
    cast = draw_cast(rng)
    roll = rng.random()
    if roll < 0.12:
        plot = choose_plot(rng, frozenset())
        ask = rng.choice(talk.REQUESTS_OPEN)
        return Request(expand(ask, {}, rng), (), tell(plot, cast, rng.getrandbits(40)))
    topic = rng.choice(world.TOPICS) if roll > 0.92 else None
    if topic:
        plot = choose_plot(rng, frozenset(), topic)
        return Request(_request(topic, rng), (), tell(plot, cast, rng.getrandbits(40)))
    about, wanted, wants, cast = _subject(rng, cast)
    story = tell(choose_plot(rng, wants), cast, rng.getrandbits(40))
    text = story.text.lower()
    if not all(want.lower() in text for want in wanted):
        return draw_request(rng)
    return Request(_request(about, rng), wanted, story)


def very_short(rng: random.Random) -> list[Turn]:
    """Draw a request for a story of two or three sentences, and its story."""
    about, wanted, wants, cast = _subject(rng, draw_cast(rng))
    told = tell(choose_plot(rng, wants), cast, rng.getrandbits(40)).short()
    if not all(want.lower() in told.lower() for want in wanted):
        return very_short(rng)
    ask = expand(rng.choice(talk.REQUESTS_VERY_SHORT), {"x": about}, rng)
    return [Turn("user", ask), Turn("assistant", told)]


def _subject(rng: random.Random, cast: Cast) -> tuple[str, tuple[str, ...], frozenset[str], Cast]:
    """Draw the object of a request: wording, words required in the story, the plot's thing."""
    hero, friend, thing = cast.hero, cast.friend, cast.thing
    kind = rng.choice(
        ("hero", "thing", "hero+thing", "hero+thing", "hero+friend", "hero+place", "all")
    )
    who, wanted = _called(hero, rng)
    if kind == "hero":
        return who, wanted, frozenset(), cast
    if kind == "thing":
        look = f"{cast.look} {thing}"
        words = look if rng.random() < 0.3 else thing
        return a(words), (words,), frozenset(("thing",)), cast
    if kind == "hero+thing":
        link = rng.choice((" and ", " and ", " with ", " and his ", " who finds "))
        article = link == " and his "
        what = f"{who}{link}{thing if article else a(thing)}"
        return what, (*wanted, thing), frozenset(("thing",)), cast
    if kind == "hero+friend":
        other, other_wanted = _called(friend, rng)
        return f"{who} and {other}", (*wanted, *other_wanted), frozenset(("friend",)), cast
    where = f"{cast.place[0]} {cast.place[1]}"
    if kind == "hero+place":
        return f"{who} {where}", (*wanted, cast.place[1]), frozenset(), cast
    other, other_wanted = _called(friend, rng)
    joined = rng.choice(("{}, {} and {}", "{}, {}, and {}"))
    what = joined.format(who, other, a(thing))
    return what, (*wanted, *other_wanted, thing), frozenset(("thing", "friend")), cast


def _called(figure: Figure, rng: random.Random) -> tuple[str, tuple[str, ...]]:
    roll = rng.random()
    if roll < 0.1 and figure.name:
        word = rng.choice(("named", "called"))
        return f"{a(figure.kind)} {word} {figure.name}", (figure.kind, figure.name)
    if roll < 0.2:
        return a(f"{figure.adjective} {figure.kind}"), (f"{figure.adjective} {figure.kind}",)
    if roll < 0.25 and figure.name:
        return f"{figure.name} the {figure.kind}", (figure.kind, figure.name)
    return a(figure.kind), (figure.kind,)


def _request(about: str, rng: random.Random) -> str:
    text = expand(rng.choice(talk.REQUESTS), {"x": about}, rng)
    return text.lower() if rng.random() < 0.1 else text


def swap_hero(story: Story, rng: random.Random) -> tuple[str, Story]:
    """Retell a story with another hero; returns the request, too."""
    other = draw_figure(rng)
    while other.kind in (story.cast.hero.kind, story.cast.friend.kind):
        other = draw_figure(rng)
    name = other.name if story.cast.hero.name else None
    if story.cast.hero.name and (name is None or name == story.cast.friend.name):
        names = world.HE_NAMES if other.pronoun == "he" else world.SHE_NAMES
        name = rng.choice([n for n in names if n != story.cast.friend.name])
    hero = replace(other, name=name)
    text = expand(rng.choice(talk.SWAPS), {"x": a(other.kind)}, rng)
    return text, tell(story.plot, replace(story.cast, hero=hero), story.seed)


def small_talk(rng: random.Random) -> tuple[Turn, Turn]:
    """Draw small talk: a message and its answer."""
    said, answers = rng.choice(talk.SMALL_TALK)
    words = " ".join(
        invented(rng) if rng.random() < 0.1 else rng.choice(world.OTHER_WORDS)
        for _ in range(rng.randint(1, 7))
    )
    slots = {
        "an_x": a(rng.choice(world.KINDS)),
        "a_thing": a(rng.choice(world.THINGS_ONLY)),
        "number": str(rng.randint(0, 9999)),
        "capital": capital(rng.choice(world.OTHER_WORDS)),
        "words": words,
        "noise": _noise(rng),
    }
    question = said if said == "{noise}" else expand(said, slots, rng)
    question = slots["noise"] if said == "{noise}" else question
    return Turn("user", question), Turn("assistant", expand(rng.choice(answers), slots, rng))


def _noise(rng: random.Random) -> str:
    ranges = ((33, 126), (33, 126), (192, 591), (1040, 1103), (0x4E00, 0x9FFF), (0x1F600, 0x1F64F))
    low, high = rng.choice(ranges)
    return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 12)))


def _follow_up(request: Story, rng: random.Random, asked: list[Asked]) -> list[Turn]:
    roll = rng.random()
    if roll < 0.62 and asked:
        question = asked.pop()
        ask = question.ask
        if rng.random() < 0.12:
            ask = ask.lower().rstrip("?") if rng.random() < 0.5 else ask.lower()
        return [Turn("user", ask), Turn("assistant", question.answer)]
    if roll < 0.78:
        return [
            Turn("user", expand(rng.choice(talk.SHORTER), {}, rng)),
            Turn("assistant", request.short()),
        ]
    if roll < 0.86:
        return [
            Turn("user", expand(rng.choice(talk.MORE_ASKS), {}, rng)),
            Turn("assistant", request.more()),
        ]
    if roll < 0.89:
        ask = expand(rng.choice(talk.ENDING_ASKS), {}, rng)
        return [Turn("user", ask), Turn("assistant", request.ending)]
    if roll < 0.92:
        return [
            Turn("user", expand(rng.choice(talk.MORAL_ASKS), {}, rng)),
            Turn("assistant", request.moral()),
        ]
    return list(small_talk(rng))


def conversation(rng: random.Random) -> list[Turn]:
    """Draw a conversation of one to about ten turns of each side."""
    turns: list[Turn] = []
    if rng.random() < 0.05:
        turns.append(Turn("system", expand(rng.choice(talk.SYSTEMS), {}, rng)))
    user = draw_figure(rng, kind="child").name if rng.random() < 0.12 else None
    if user:
        slots = {"user": user}
        turns += [
            Turn("user", expand(rng.choice(talk.NAME_GIVEN), slots, rng)),
            Turn("assistant", expand(rng.choice(talk.NAME_HELLO), slots, rng)),
        ]
    for _ in range(rng.choice((0, 0, 0, 0, 1, 1, 2))):
        turns += _before_story(rng)
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
        turns += _story_turns(rng)
        if rng.random() < 0.3:
            turns += small_talk(rng)
        if rng.random() < (0.5 if user else 0.02):
            answers = talk.NAME_ANSWER if user else talk.NAME_UNKNOWN
            turns += [
                Turn("user", rng.choice(talk.NAME_ASKED)),
                Turn("assistant", expand(rng.choice(answers), {"user": user or ""}, rng)),
            ]
    return turns


def _before_story(rng: random.Random) -> list[Turn]:
    if rng.random() < 0.1:
        ask = expand(rng.choice(talk.NO_STORY_ASKS), {"kind": rng.choice(world.KINDS)}, rng)
        return [Turn("user", ask), Turn("assistant", rng.choice(talk.NO_STORY))]
    return list(small_talk(rng))


def _story_turns(rng: random.Random) -> list[Turn]:
    if rng.random() < 0.15:
        return very_short(rng)
    request = draw_request(rng)
    story = request.story
    turns = [Turn("user", request.text), Turn("assistant", story.text)]
    asked = story.questions(rng)
    for _ in range(rng.choice((0, 1, 1, 2, 3, 4, 5))):
        turns += _follow_up(story, rng, asked)
    if rng.random() < 0.12:
        ask, again = swap_hero(story, rng)
        turns += [Turn("user", ask), Turn("assistant", again.text)]
        asked = again.questions(rng)
        turns += _follow_up(again, rng, asked)
    return turns


def begun_story(rng: random.Random) -> list[Turn]:
    """Draw a chat in which the user begins a story and the assistant continues it."""
    story = tell(choose_plot(rng, frozenset()), draw_cast(rng), rng.getrandbits(40))
    words = story.text.split(" ")
    cut = rng.randint(2, 9) if rng.random() < 0.6 else rng.randint(2, len(words) * 2 // 3)
    turns = [Turn("user", " ".join(words[:cut])), Turn("assistant", " ".join(words[cut:]))]
    asked = story.questions(rng)
    for _ in range(rng.choice((0, 0, 1, 2))):
        turns += _follow_up(story, rng, asked)
    return turns
