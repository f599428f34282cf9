"""Edits of a document, and the spans of its text that a model wrote. Immutable."""

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from gptterm.conversation.nodes import Generation, TokenId
from gptterm.conversation.spelling import REPLACEMENT, is_boundary
from gptterm.engine.api import ModelInfo


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One change of a text: a stretch of the version before is replaced.

    An edit is also the version that it makes.
    """

    id: str
    parent: str | None
    """The version that it changes; None for the empty document."""
    start: int
    """Characters before the stretch."""
    removed: int = 0
    """Characters of the stretch."""
    text: str = ""
    created: float = 0.0
    """Seconds since 1970."""
    ids: tuple[TokenId, ...] = ()
    """Token ids that spell `text`, if a model wrote it; else empty. Of a text that was ended within
    a token, what it has of that one is not theirs."""
    lengths: tuple[int, ...] = ()
    """Bytes of `text` that each token spells; see `spelling.spell`."""
    logprobs: tuple[float, ...] = ()
    """Natural logarithm of each token's probability, before penalties and filters; empty where not
    known."""
    run: Generation | None = None
    """Model and settings that wrote the text; None for a person."""

    def written_by(self, info: ModelInfo) -> bool:
        """Whether this very model wrote the text, so that its ids are valid for the model."""
        run = self.run
        return run is not None and (run.model, run.revision) == (info.name, info.revision)

    @property
    def perplexity(self) -> float | None:
        """exp of the mean surprisal of the tokens, in nats; None where not known."""
        if not self.logprobs:
            return None
        # At most e^700: a longer number is no use, and no float.
        return math.exp(min(700.0, -math.fsum(self.logprobs) / len(self.logprobs)))

    def token_ends(self) -> list[int]:
        """Characters of the text up to the end of each token; -1 for an end inside a character."""
        data = self.text.encode()
        ends = list(itertools.accumulate(self.lengths))
        if len(data) == len(self.text):
            return ends
        characters, at, found = 0, 0, []
        for end in ends:
            # Bytes that are not continuations begin a character.
            characters += sum(byte & 0xC0 != 0x80 for byte in data[at:end])
            at = end
            found.append(characters if is_boundary(data, end) else -1)
        return found


def tokens_within(ends: Sequence[int], start: int, end: int) -> range:
    """Return the tokens of an edit that lie wholly between two places of its text.

    Args:
        ends: `Edit.token_ends` of it.
    """
    inside, at = list[int](), 0
    for token, last in enumerate(ends):
        if start <= at and last <= end:
            inside.append(token)
        at = max(at, last)
    return range(inside[0], inside[-1] + 1) if inside else range(0)


def are_lengths(lengths: Iterable[int], text: str) -> bool:
    """Whether tokens of these lengths spell a text, or the beginning of it."""
    raw, size = text.encode(), sum(lengths)
    return 0 < size <= len(raw) and is_boundary(raw, size)


def parents_first(edits: Iterable[Edit]) -> list[Edit]:
    """Sort edits so that parents come before their children; those without theirs are left out."""
    order: list[Edit] = []
    known: set[str | None] = {None}
    waiting: dict[str | None, list[Edit]] = {}
    for edit in edits:
        ready = [edit] if edit.parent in known else []
        if not ready:
            waiting.setdefault(edit.parent, []).append(edit)
        while ready:
            order.append(ready.pop())
            known.add(order[-1].id)
            ready += reversed(waiting.pop(order[-1].id, []))
    return order


class Span(NamedTuple):
    """A stretch of the text with known tokens: `tokens` of those of an edit, from `first` on."""

    start: int
    end: int
    edit: str
    first: int
    tokens: int

    def moved(self, by: int) -> "Span":
        """The span with its place shifted."""
        return self._replace(start=self.start + by, end=self.end + by)


class Split(NamedTuple):
    """A span divided at a place of the text."""

    before: Span | None
    after: Span | None
    cut: int
    """Tokens that the place is inside of; they are in neither part."""


def split(span: Span, at: int, ends: list[int]) -> Split:
    """Divide a span at a place inside it.

    Args:
        ends: `Edit.token_ends` of its edit.
    """
    origin = span.start - (ends[span.first - 1] if span.first else 0)
    last = span.first + span.tokens
    before = span.first
    for token in range(span.first, last):
        if ends[token] >= 0 and origin + ends[token] <= at:
            before = token + 1
    after = next(
        (
            token
            for token in range(before, last)
            if (token == 0 or ends[token - 1] >= 0)
            and origin + (ends[token - 1] if token else 0) >= at
        ),
        last,
    )
    left = right = None
    if before > span.first:
        left = Span(
            span.start, origin + ends[before - 1], span.edit, span.first, before - span.first
        )
    if after < last:
        begin = origin + (ends[after - 1] if after else 0)
        right = Span(begin, span.end, span.edit, after, last - after)
    return Split(left, right, after - before)


def closed(span: Span, text: str, ends: list[int]) -> Span | None:
    """Return a span up to the last character that is surely whole; None where there is none.

    A U+FFFD may be the beginning of a character: a model that reads the bytes would complete it,
    and what it writes then begins with a character that the text has half of already.

    Args:
        text: that of the span.
        ends: `Edit.token_ends` of its edit.
    """
    whole = len(text.rstrip(REPLACEMENT))
    if whole in (0, len(text)):
        return span if whole else None
    return split(span, span.start + whole, ends).before
