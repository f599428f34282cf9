"""Training corpus: documents from seeds, in chunks, batched by length.

A row is one document (or a few stories, with <|endoftext|> between them) from position 0 on, as
the model is used; rows of like length share a batch, so that little is padding.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from . import world
from .chat import begun_story, conversation
from .grammar import capital
from .lessons import lesson, repeat
from .story import Story, choose_plot, draw_cast, tell
from .tokenizer import END_OF_TEXT, render

Ids = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float32]
DOCUMENTS_PER_CHUNK = 2048
REPEATS_UNTIL, LESSONS_UNTIL = 8, 12
"""Chunks at which the copying lessons end, and at which the lessons alone end.

Attention that copies forms within a million tokens when nearly every token is a copy, and hardly
at all in stories, where grammar explains most tokens; once there, it is used and kept.
"""
CHATS_FROM, NEARLY_ALL_CHATS_FROM = 34, 52
"""The chunks from which on more of the text are chats: by then it can tell stories, and is to
learn to tell the one that was asked for."""
CARRIED = 3.0
"""Weight in the loss of a story's key words when they are repeated."""


@dataclass(frozen=True)
class Batch:
    """A batch: rows of ids, and the targets (shifted by one) with their weights in the loss.

    -1 is a target that does not count.
    """

    ids: Ids
    targets: Ids
    weights: Weights


def draw_story(rng: random.Random) -> Story:
    """Draw a story of any kind."""
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


def document(rng: random.Random, plain: float = 0.5, lessons: float = 0.25) -> str:
    """Draw one training document, with its special tokens.

    Args:
        plain: the share of stories that nobody asked for, among what is no lesson.
        lessons: the share of lessons in copying and in who is who.
    """
    if rng.random() < lessons:
        return render(lesson(rng))
    roll = rng.random()
    if roll < plain:
        return _plain(rng)
    if roll < plain + 0.26 * (1 - plain):
        return render(begun_story(rng))
    return render(conversation(rng))


def chunk_texts(
    seed: int | str,
    chunk: int,
    count: int = DOCUMENTS_PER_CHUNK,
    make: Callable[[random.Random], str] = document,
) -> list[str]:
    """Documents of one chunk; no two chunks share a seed."""
    return [make(random.Random(f"{seed}-{chunk}-{index}")) for index in range(count)]


def training_texts(seed: int, chunk: int) -> list[str]:
    """Documents of training chunk `chunk`: lessons first, later the whole mixture."""
    if chunk < REPEATS_UNTIL:
        return chunk_texts(seed, chunk, make=lambda rng: render(repeat(rng)))
    if chunk < LESSONS_UNTIL:
        return chunk_texts(seed, chunk, make=lambda rng: render(lesson(rng)))
    if chunk < CHATS_FROM:
        return chunk_texts(seed, chunk)
    if chunk < NEARLY_ALL_CHATS_FROM:
        return chunk_texts(seed, chunk, make=lambda rng: document(rng, plain=0.25))
    return chunk_texts(seed, chunk, make=lambda rng: document(rng, plain=0.1, lessons=0.1))


def slot_ids(tokenizer: Tokenizer) -> Ids:
    """Token ids of the stories' key words: characters, things and places."""
    nouns = [place.split()[-1] for _, place in world.PLACES]
    words = (*world.KINDS, *world.THINGS_ONLY, *world.NAMES, *nouns)
    written = [form for word in words for form in (f" {word}", f" {capital(word)}", capital(word))]
    encoded = tokenizer.encode_batch_fast(written, add_special_tokens=False)
    return np.unique([e.ids[0] for e in encoded if len(e.ids) == 1])


def chunk_ids(tokenizer: Tokenizer, texts: list[str], positions: int) -> list[list[int]]:
    """Encode documents, truncated to the model's context."""
    encoded = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
    return [encoding.ids[: positions + 1] for encoding in encoded]


def batches(
    rows: list[list[int]], tokens: int, rng: random.Random, slots: Ids | None = None
) -> list[Batch]:
    """Batches of about `tokens` tokens, of rows of similar length, in random order.

    A target among the ids `slots` that its row has had before counts `CARRIED` times.
    """
    rows = sorted(rows, key=lambda row: (len(row), row))
    made = []
    start = 0
    while start < len(rows):
        stop = start + 1
        while stop < len(rows) and (stop - start + 1) * len(rows[stop]) <= tokens:
            stop += 1
        made.append(_pad(rows[start:stop], slots))
        start = stop
    rng.shuffle(made)
    return made


def _pad(rows: list[list[int]], slots: Ids | None) -> Batch:
    width = max(map(len, rows)) - 1
    ids = np.zeros((len(rows), width), dtype=np.int64)
    targets = np.full((len(rows), width), -1, dtype=np.int64)
    for index, row in enumerate(rows):
        ids[index, : len(row) - 1] = row[:-1]
        targets[index, : len(row) - 1] = row[1:]
    weights = np.ones(ids.shape, dtype=np.float32)
    if slots is not None:
        weights[np.isin(targets, slots) & _said_before(ids, targets)] = CARRIED
    return Batch(ids, targets, weights)


def _said_before(ids: Ids, targets: Ids) -> npt.NDArray[np.bool_]:
    """Mask of the targets that occurred earlier in their row."""
    found = np.empty(targets.shape, dtype=np.bool_)
    for row in range(len(ids)):
        values, first = np.unique(ids[row], return_index=True)
        at = np.searchsorted(values, targets[row]).clip(max=len(values) - 1)
        found[row] = (values[at] == targets[row]) & (first[at] <= np.arange(ids.shape[1]))
    return found


def stream(
    tokenizer: Tokenizer, seed: int, positions: int, tokens: int, skip: int = 0, chunk: int = 0
) -> Iterator[Batch]:
    """Endless batches from a chunk on, the same for the same arguments.

    The first `skip` are left out.
    """
    slots = slot_ids(tokenizer)
    while True:
        rows = chunk_ids(tokenizer, training_texts(seed, chunk), positions)
        made = batches(rows, tokens, random.Random(f"{seed}-{chunk}"), slots)
        yield from made[skip:]
        skip = max(0, skip - len(made))
        chunk += 1
