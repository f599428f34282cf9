"""Tokens of a document: what the model makes of each, tints, the one under the cursor."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise

from msgspec.structs import replace

from gptterm.charts.measures import Measure, measured
from gptterm.document.seen import note_of
from gptterm.document.stretches import Stretch, changed_stretch
from gptterm.document.tree import Document
from gptterm.engine.api import MixedPrompt, SamplingParams, TokenPrompt
from gptterm.engine.inspection.answers import Encoded, TokenView
from gptterm.engine.inspection.requests import EncodeRequest, TokenRequest
from gptterm.errors import GpttermError
from gptterm.tui.state.asking import ask
from gptterm.tui.state.chat_tokens import TokenLook, WalkedToken
from gptterm.tui.state.document_reading import DocumentReader, Reading
from gptterm.tui.state.engine_manager import EngineManager
from gptterm.tui.state.reading import Ids
from gptterm.tui.state.tints import Tint, next_measure, tints
from gptterm.tui.state.written_tokens import WrittenTokens, between

_SEEN_STEP = 16
"""Tokens by which the beginning of what the model sees moves, so that it is drawn seldom."""


class DocumentTokens:
    """Tints of a document's tokens, and the alternatives to the one under the cursor.

    Args:
        document: returns the document.
        sampling: returns the samplers of its continuations.
        on_change: called when tints or tokens have changed.
    """

    def __init__(
        self,
        engine: EngineManager,
        document: Callable[[], Document],
        sampling: Callable[[], SamplingParams],
        on_change: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._document = document
        self._sampling = sampling
        self._on_change = on_change
        self.measure: Measure | None = None
        """Measure that tints the text; None: nothing does."""
        self.reader = DocumentReader(engine, document, lambda: self.measure is not None, on_change)
        self._read_tints: tuple[Reading, Measure, int, tuple[Tint, ...]] | None = None
        """Of a reading, by measure and number of scores."""
        self._edited: tuple[str, str, Stretch] | None = None
        """Two texts, and how they differ."""
        self._written = WrittenTokens(document)

    def cycle(self) -> None:
        """Tint by the next measure, after the last one by none."""
        self.measure = next_measure(self.measure)
        self._on_change()

    # ------------------------------------------------------------------------------- tints

    def tints(self, start: int, end: int) -> tuple[Tint, ...]:
        """Return the tints of a stretch of the text: as it was read, else as it was written."""
        if self.measure is None:
            return ()
        sources = [self._tints_as_read]
        if self.measure == "surprisal":
            # A reading has no author's note, which the model saw when it wrote.
            noted, info = bool(self._document().settings.note), self._engine.info
            own = partial(self._written.tints, by=info)
            sources = [*([own] if noted else []), self._tints_as_read, self._written.tints]
        found: list[Tint] = []
        for source in sources:
            edges = [start, *(edge for tint in found for edge in tint[:2]), end]
            gaps = [(low, high) for low, high in list(pairwise(edges))[::2] if low < high]
            found = sorted([*found, *(tint for gap in gaps for tint in source(*gap))])
        return tuple(found)

    def _tints_as_read(self, start: int, end: int) -> Iterator[Tint]:
        """Those of the reading: of what was edited since, not; of what follows, as it was."""
        reading, measure = self.reader.reading, self.measure
        if reading is None or measure is None or reading.info is not self._engine.info:
            return
        known, made_of = self._read_tints, (measure, len(reading.scores))
        if known is None or known[0] is not reading or known[1:3] != made_of:
            scored = [t for t in reading.tokens if t.position < len(reading.scores)]
            values = (
                (t.start, t.end, measured(reading.scores[t.position], measure)) for t in scored
            )
            known = self._read_tints = reading, *made_of, tints(values, measure)
        parts, change = known[3], self._change(reading)
        by = len(change.text) - (change.end - change.start)
        yield from between(parts, 0, start, min(end, change.start))
        yield from between(parts, by, max(start, change.end + by), end)

    def _change(self, reading: Reading) -> Stretch:
        """The stretch that was edited since a reading; found once, for all rows that are drawn."""
        text, known = self._document().text, self._edited
        if known is None or known[0] is not reading.text or known[1] is not text:
            same = Stretch(len(text), len(text), "")
            change = same if text is reading.text else changed_stretch(reading.text, text)
            known = self._edited = reading.text, text, change
        return known[2]

    def count(self, start: int, end: int) -> tuple[int, bool] | None:
        """Return the number of tokens in a stretch, and whether it is exact; None: not known.

        What is not read now is estimated, by all that was read of the text before.
        """
        reading = self.reader.current
        if reading is None or not reading.tokens:
            return None
        if reading.start <= start and end <= reading.end:
            first = bisect_right(reading.tokens, start, key=lambda token: token.end)
            last = bisect_left(reading.tokens, end, key=lambda token: token.start)
            return max(0, last - first), True
        return self.reader.kept.estimate(self._document(), start, end), False

    def bits(self, start: int, end: int) -> tuple[float, int]:
        """Return the sum of the surprisals in a stretch of the text, and the number of tokens.

        Of tokens that are not read, it has those that models wrote; in a text with an author's
        note, which a reading has not, all that this model wrote.
        """
        parts, at = list[tuple[float, int]](), start
        info, noted = self._engine.info, bool(self._document().settings.note)
        own = self._written.stretches(start, end, info) if noted and info is not None else ()
        for low, high in own:
            parts += [self._bits_as_read(at, low), self._written.bits(low, high)]
            at = high
        parts.append(self._bits_as_read(at, end))
        return math.fsum(bits for bits, _ in parts), sum(count for _, count in parts)

    def _bits_as_read(self, start: int, end: int) -> tuple[float, int]:
        total, count, at = 0.0, 0, start
        text = self._document().text
        for part in self.reader.kept.scored(self._engine.info, text, start, end):
            before = self._written.bits(at, part.start)
            total, count = total + before[0] + part.bits, count + before[1] + part.tokens
            at = part.end
        rest = self._written.bits(at, end)
        return total + rest[0], count + rest[1]

    def seen_from(self, place: int, room: int) -> int | None:
        """Return the place of the first token that a continuation at a place sees; 0: of all.

        None where that is not known yet.

        Args:
            room: tokens of the text that fit into the context.
        """
        reading = self.reader.current
        if reading is None:
            return None
        if not reading.start <= place <= reading.end or not reading.tokens:
            return None
        first = bisect_right(reading.tokens, place, key=lambda token: token.end) - room
        first -= first % _SEEN_STEP
        if first > 0:
            return reading.tokens[first].start
        if not reading.start:
            return 0
        # Before what is read, by the length of the tokens in it.
        per_token = (reading.end - reading.start) / len(reading.tokens)
        return max(0, round(reading.start + first * per_token))

    # -------------------------------------------------------------------------- the cursor

    def at(self, place: int) -> WalkedToken | None:
        """Return the token that spells the character at a place, or the end of the text.

        None: the model has not read it yet.
        """
        reading = self.reader.current
        if reading is None:
            return None
        if not reading.start <= place <= reading.end or not reading.tokens:
            return None
        tokens = reading.tokens
        if place >= tokens[-1].end:
            at_end = tokens[-1].end == len(reading.text)
            return WalkedToken("", len(tokens), place, place) if at_end else None
        number = bisect_right(tokens, place, key=lambda token: token.end)
        token = tokens[number]
        if not token.start <= place:
            return None
        within = number > 0 and tokens[number - 1].start == tokens[number - 1].end
        return WalkedToken("", number, token.start, token.end, within)

    def step(self, place: int, by: int) -> int | None:
        """Return the beginning of another token than that at a place; None if it is not known."""
        walked, reading = self.at(place), self.reader.current
        if walked is None or reading is None:
            return None
        number = min(max(walked.number + by, 0), len(reading.tokens))
        if number == len(reading.tokens):
            return reading.tokens[-1].end
        return reading.tokens[number].start

    async def look(self, place: int, limit: int) -> TokenLook:
        """Return what the model would have said in the place of the token at a place."""
        engine, walked, reading = self._engine, self.at(place), self.reader.current
        if walked is None or reading is None:
            return TokenLook(None, self._why_unknown())
        is_end = walked.number == len(reading.tokens)
        position = len(reading.ids) if is_end else reading.tokens[walked.number].position
        begin = position if is_end else self._drawn_from(reading, walked.number)
        drawn = reading.ids[begin:position]
        try:
            before = await self._seen_before(reading, begin, len(drawn))
            request = TokenRequest(
                ids=(*before, *drawn, *reading.ids[position:]),
                position=len(before) + len(drawn),
                sampling=self._sampling(),
                limit=limit,
                prompt_tokens=len(before),
            )
            view = await ask(engine.client, request, TokenView)
        except GpttermError as error:
            return TokenLook(None, str(error))
        reason = "" if view.distribution else "the first token follows nothing"
        return TokenLook(view.distribution, reason, view.score, walked=walked)

    def _drawn_from(self, reading: Reading, number: int) -> int:
        """The position of the first token that the model drew in one go with that of a number."""
        document, start = self._document(), reading.tokens[number].start
        spans = document.spans
        at = bisect_right(spans, start, key=lambda span: span.end)
        if at < len(spans) and spans[at].start <= start:
            span = spans[at]
            if document.edit(span.edit).written_by(reading.info):
                first = bisect_left(reading.tokens, span.start, key=lambda token: token.start)
                return reading.tokens[first].position
        return reading.tokens[number].position

    async def _seen_before(self, reading: Reading, position: int, drawn: int) -> Ids:
        """The ids that the model sees when it continues a reading from a position.

        The author's note is among the last ones; of a text that is too long for the context, the
        end stays, with memory and note.

        Args:
            drawn: tokens from there on that must fit, too.
        """
        note, context = note_of(self._document()), reading.info.context_length
        context = context and max(1, context - drawn)
        first = reading.tokens[0].position if reading.tokens else 0
        fits = not context or position < context
        if position <= first or (fits and not note):
            return reading.ids[:position]
        body = reading.ids[first:position]
        prompt = MixedPrompt(
            parts=(TokenPrompt(ids=body),), memory=reading.memory, note=note,
            note_depth=self._document().settings.note_depth,
        )  # fmt: skip
        seen = await self._encoded(prompt)
        if context and len(seen) >= context:
            body = body[len(seen) - context + 1 :]
            shorter = replace(prompt, parts=(TokenPrompt(ids=body),))
            seen = await self._encoded(shorter)
        return seen

    async def _encoded(self, prompt: MixedPrompt) -> Ids:
        found = await ask(self._engine.client, EncodeRequest(prompt=prompt), Encoded)
        return tuple(piece.id for piece in found.pieces)

    def _why_unknown(self) -> str:
        engine = self._engine
        if not self._document().text:
            return "there is no text yet"
        if engine.no_distribution:
            return f"no probabilities: {engine.no_distribution}"
        if engine.is_remote:
            return "a server does not score a text"
        if not engine.ready:
            return "once the model is ready"
        return self.reader.problem or "the model reads the text"

    @property
    def lacking(self) -> str:
        """Why a text that is to be tinted is not, as far as it is typed; empty if it is."""
        engine = self._engine
        reads = engine.ready and not engine.is_remote and not self.reader.problem
        return "" if reads else self._why_unknown()
