"""Reading of a document: the stretch around the cursor as the loaded model's tokens, scored."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import NamedTuple

from gptterm.conversation.token_map import Part, TurnToken, mark
from gptterm.document.seen import memory_of
from gptterm.document.tree import Document
from gptterm.engine.api import MixedPrompt, ModelInfo, TextPrompt
from gptterm.engine.inspection.answers import TokenScore
from gptterm.errors import GpttermError
from gptterm.tui.state.engine_manager import EngineManager
from gptterm.tui.state.read_tokens import ReadTokens
from gptterm.tui.state.reading import read_tokens, score_rest, still_valid

MOST_READ = 16_000
"""Characters that the model reads around the cursor, of a longer text: some 4,000 tokens."""
_STEP = MOST_READ // 4
"""The stretch stays the same while the cursor stays within so many characters."""

PAUSE_S = 1.5
"""Seconds without an edit after which a text that nothing tints is scored too, for its perplexity.
Of a text that was scored, an edit leaves only what follows to be computed."""


class Reading(NamedTuple):
    """A stretch of the text as the loaded model reads it. Places are those of `text`."""

    info: ModelInfo
    text: str
    """The whole text."""
    memory: str
    """Text before it, of which it is no part."""
    start: int
    end: int
    ids: tuple[int, ...]
    tokens: tuple[TurnToken, ...]
    scores: list[TokenScore]
    """Of the first ids; they grow."""


class DocumentReader:
    """Has the model read a document around the cursor, and score what it reads.

    Args:
        document: returns the document.
        at_once: whether the scores are wanted at once; else once nothing has changed for a while.
        on_change: called when there are tokens or scores.
    """

    def __init__(
        self,
        engine: EngineManager,
        document: Callable[[], Document],
        at_once: Callable[[], bool],
        on_change: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._document = document
        self._at_once = at_once
        self._on_change = on_change
        self.problem = ""
        """Why the model does not read the text; empty if it does."""
        self._refused_by: ModelInfo | None = None
        self._unscored_by: ModelInfo | None = None
        """Model that could not score the text."""
        self.reading: Reading | None = None
        """The last stretch; the text may have changed since."""
        self.kept = ReadTokens()
        """Tokens of all stretches."""
        self._unchanged = "", 0.0
        """A text, and since when it is the document's, in seconds of a monotonic clock."""
        self._task: asyncio.Task[None] | None = None

    @property
    def current(self) -> Reading | None:
        """The last reading, if the text and the model are the same by now."""
        document, reading = self._document(), self.reading
        if reading is None or reading.info is not self._engine.info:
            return None
        same = reading.text == document.text and reading.memory == memory_of(document)
        return reading if same else None

    def take(self, reading: Reading) -> None:
        """Take over a reading, or more scores of it."""
        self.reading = reading
        scored = (t for t in reading.tokens if t.position < len(reading.scores))
        bits = [reading.scores[token.position].surprisal_bits for token in scored]
        ends = [token.end for token in reading.tokens]
        self.kept.add(reading.info, reading.text, (reading.start, reading.end), ends, bits)
        self._on_change()

    def refresh(self, place: int) -> None:
        """Have the model read what it has not yet around a place."""
        engine, text = self._engine, self._document().text
        if self._refused_by is not engine.info:
            self.problem, self._refused_by = "", None
        if text is not self._unchanged[0]:
            self._unchanged = text, time.monotonic()
        can = engine.ready and not engine.is_remote and not self.problem
        busy = self._task is not None and not self._task.done()
        if can and not busy and not self._is_done(place):
            self._task = asyncio.create_task(self._read_and_score(place))

    def _is_done(self, place: int) -> bool:
        document = self._document()
        current, text = document.current, document.text
        if not text or (current is not None and document.is_streaming(current)):
            return True  # it is read once it is whole
        reading = self._reading_at(place)
        return reading is not None and not self._wants_scores_of(reading)

    def _reading_at(self, place: int) -> Reading | None:
        reading = self.current
        if reading is None or (reading.start, reading.end) != stretch_at(reading.text, place):
            return None
        return reading

    def _wants_scores_of(self, reading: Reading) -> bool:
        if self.current is not reading or len(reading.scores) >= len(reading.ids):
            return False
        if self._at_once():
            return True
        document, (text, since) = self._document(), self._unchanged
        is_still = document.text is text and time.monotonic() >= since + PAUSE_S
        can = self._unscored_by is not reading.info
        return is_still and can and not document.is_streaming()

    async def _read_and_score(self, place: int) -> None:
        try:
            reading = self._reading_at(place) or await self._read(place)
        except GpttermError as error:
            self.problem, self._refused_by = str(error), self._engine.info
        else:
            await self._score(reading)
        self._on_change()

    async def _read(self, place: int) -> Reading:
        document, info, client = self._document(), self._engine.info, self._engine.client
        assert info is not None
        text = document.text
        start, end = stretch_at(text, place)
        parts = document.prompt_parts(end, info, start)
        memory = memory_of(document)
        message = ((Part("", text[start:end], 0),),)
        ids, turns = await read_tokens(
            client,
            MixedPrompt(parts=parts, memory=memory),
            MixedPrompt(parts=(TextPrompt(text=mark(0)),), memory=memory),
            message,
        )
        before, scores = self.reading, list[TokenScore]()
        if before is not None and before.info is info:
            scores = still_valid(before.ids, before.scores, ids)
        tokens = tuple(
            TurnToken(token.position, start + token.start, start + token.end)
            for token in turns.get("", ())
        )
        reading = Reading(info, text, memory, start, end, ids, tokens, scores)
        self.take(reading)
        return reading

    async def _score(self, reading: Reading) -> None:
        """Score the rest of a reading, as long as that is wanted."""
        if not self._wants_scores_of(reading):
            return
        steps = score_rest(self._engine.client, reading.ids, reading.scores)
        try:
            async with contextlib.aclosing(steps):
                async for _ in steps:
                    if self.current is reading:
                        self.take(reading)
                    if not self._wants_scores_of(reading):
                        return
        except GpttermError as error:
            self._unscored_by = reading.info
            if self._at_once():
                self.problem, self._refused_by = str(error), reading.info


def stretch_at(text: str, place: int) -> tuple[int, int]:
    """The part of a text that is read for a place: all, or what is around it from a word on."""
    if len(text) <= MOST_READ:
        return 0, len(text)
    start = max(0, place // _STEP - 2) * _STEP
    end = min(len(text), start + MOST_READ)
    space = text.find(" ", start, start + 64) if start else 0
    return max(space, start), end
