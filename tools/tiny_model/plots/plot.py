"""Plot: beats to choose from, a short form, and the questions it can answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """Ways to ask one thing, ways to answer it, and the words a right answer has to contain."""

    asks: str
    answer: str
    key: str


@dataclass(frozen=True)
class Plot:
    """A small plot with a cause, a turn and an end, as templates (see `grammar`).

    Attributes:
        name: for tests and counts.
        topics: what a request may call it ("friendship").
        thing: whether the thing of the story takes part.
        beats: one alternative of each is told, in order; an empty one is left out.
        short: the story in two or three sentences.
        moral: what one may learn from it.
        questions: what can be asked once it is told.
        named: whether everyone in it needs a name.
    """

    name: str
    topics: tuple[str, ...]
    thing: bool
    beats: tuple[tuple[str, ...], ...]
    short: tuple[str, ...]
    moral: tuple[str, ...]
    questions: tuple[Question, ...]
    named: bool = False
