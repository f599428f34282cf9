"""The training text: documents from seeds, in chunks, in batches of rows of like length.

A row is one document (or a few stories, with <|endoftext|> between them) from position 0 on, as
the model is used; rows of like length share a batch, so that little is padding.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from . import world
from .chat import begun_story, conversation
from .grammar import capital
from .lessons import lesson
from .story import Story, choose_plot, draw_cast, tell
from .tokenizer import END_OF_TEXT, render

Ids = npt.NDArray[np.int64]
DOCUMENTS_PER_CHUNK = 2048
LESSONS = 0.25
"""The share of documents that are lessons in copying and in who is who."""


@dataclass(frozen=True)
class Batch:
    """Rows of ids and, shifted by one, the targets; -1 is a target that does not count."""

    ids: Ids
    targets: Ids


def draw_story(rng: random.Random) -> Story:
    """Any story."""
    return tell(choose_plot(rng, frozenset()), draw_cast(rng), rng.getrandbits(40))


def _title(story: Story) -> str:
    hero, plot = story.cast.hero, story.plot
    if plot.thing:
        return f"The {capital(hero.kind)} and the {capital(story.cast.thing)}"
    return f"The {capital(story.slots['trait'])} {capital(hero.kind)}"


def _plain(rng: random.Random) -> str:
    roll = rng.random()
    if roll < 0.04:
        stories = (draw_story(rng).text + END_OF_TEXT for _ in range(rng.randint(2, 5)))
        return END_OF_TEXT + "".join(stories)
    story = draw_story(rng)
    text = story.text
    if roll < 0.12:
        text = f"{_title(story)}\n\n{text}"
    elif roll < 0.15:
        words = " ".join(rng.choice(world.OTHER_WORDS) for _ in range(rng.randint(1, 8)))
        text = f"{capital(words)}{rng.choice(('. ', ': ', chr(10), chr(10) * 2))}{text}"
    start = END_OF_TEXT if rng.random() < 0.3 else ""
    return start + text + END_OF_TEXT


def document(rng: random.Random) -> str:
    """One training document, special tokens and all."""
    if rng.random() < LESSONS:
        return render(lesson(rng))
    roll = rng.random()
    if roll < 0.5:
        return _plain(rng)
    if roll < 0.63:
        return render(begun_story(rng))
    return render(conversation(rng))


def chunk_texts(seed: int | str, chunk: int, count: int = DOCUMENTS_PER_CHUNK) -> list[str]:
    """The documents of one chunk; no two chunks share a seed."""
    return [document(random.Random(f"{seed}-{chunk}-{index}")) for index in range(count)]


def chunk_ids(tokenizer: Tokenizer, texts: list[str], positions: int) -> list[list[int]]:
    """The documents as ids, cut where the model's positions end."""
    encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return [encoding.ids[: positions + 1] for encoding in encoded]


def batches(rows: list[list[int]], tokens: int, rng: random.Random) -> list[Batch]:
    """Batches of about `tokens` tokens of rows of like length, in random order."""
    rows = sorted(rows, key=lambda row: (len(row), row))
    made = []
    start = 0
    while start < len(rows):
        stop = start + 1
        while stop < len(rows) and (stop - start + 1) * len(rows[stop]) <= tokens:
            stop += 1
        made.append(_pad(rows[start:stop]))
        start = stop
    rng.shuffle(made)
    return made


def _pad(rows: list[list[int]]) -> Batch:
    width = max(map(len, rows)) - 1
    ids = np.zeros((len(rows), width), dtype=np.int64)
    targets = np.full((len(rows), width), -1, dtype=np.int64)
    for index, row in enumerate(rows):
        ids[index, : len(row) - 1] = row[:-1]
        targets[index, : len(row) - 1] = row[1:]
    return Batch(ids, targets)


def stream(
    tokenizer: Tokenizer, seed: int | str, positions: int, tokens: int, skip: int = 0
) -> Iterator[Batch]:
    """Batches without end, the same for the same arguments; the first `skip` are left out."""
    chunk = 0
    while True:
        rows = chunk_ids(tokenizer, chunk_texts(seed, chunk), positions)
        made = batches(rows, tokens, random.Random(f"{seed}-{chunk}"))
        yield from made[skip:]
        skip = max(0, skip - len(made))
        chunk += 1
