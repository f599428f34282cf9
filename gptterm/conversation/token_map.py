"""Token map: the tokens of a chat's prompt that spell each of its turns.

A chat template may put any text around the messages. It is found by rendering the prompt a second
time, with a mark in the place of each message: what stands between the marks stands between the
messages of the true prompt.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import msgspec

from gptterm.conversation.nodes import SYSTEM
from gptterm.conversation.spelling import spell
from gptterm.conversation.token_scores import character_starts
from gptterm.conversation.tree import Conversation
from gptterm.engine.api import ChatPrompt, ModelInfo, Prompt, TextPrompt, Transcript


class TurnToken(NamedTuple):
    """Token that spells `text[start:end]` of a turn; nothing, if it ends within a character."""

    position: int
    """In the prompt."""
    start: int
    end: int


class Part(NamedTuple):
    """A turn's text in a message."""

    key: str
    text: str
    start: int
    """Characters of the message before it."""


class ChatText(NamedTuple):
    """A chat as a prompt, up to and with its last turn."""

    prompt: Prompt
    marked: Prompt
    """The prompt with the `mark` of its number in the place of each message."""
    messages: tuple[tuple[Part, ...], ...]


def mark(number: int) -> str:
    """Stand-in for a message: a word that no template has, the same after any normalizer."""
    return f"qzjx{number}xjzq"


def chat_text(
    tree: Conversation, last: str, info: ModelInfo, transcript: Transcript, *, raw: bool
) -> ChatText:
    """The prompt that the model of `info` reads, from the first turn of a chat to the last."""
    if raw:
        return _raw_text(tree, last)
    prompt = tree.chat_prompt(last, info, transcript)
    parts: list[tuple[Part, ...]] = []
    if tree.system:
        parts.append((Part(SYSTEM, tree.system, 0),))
    for turns in tree.messages(last):
        starts = accumulate((len(node.text) + 2 for node in turns), initial=0)
        parts.append(tuple(Part(n.id, n.text, s) for n, s in zip(turns, starts, strict=False)))
    marked = tuple(
        msgspec.structs.replace(message, text=mark(number), ids=())
        for number, message in enumerate(prompt.messages)
    )
    return ChatText(
        prompt,
        ChatPrompt(messages=marked, continue_last=prompt.continue_last, transcript=transcript),
        tuple(parts),
    )


def _raw_text(tree: Conversation, last: str) -> ChatText:
    nodes = [tree.node(key) for key in tree.path_to(last)]
    between = ("\n" if i and node.role == "user" else "" for i, node in enumerate(nodes))
    marked = "".join(f"{literal}{mark(i)}" for i, literal in enumerate(between))
    parts = tuple((Part(node.id, node.text, 0),) for node in nodes)
    return ChatText(tree.raw_prompt(last), TextPrompt(text=marked), parts)


def turn_tokens(
    pieces: Sequence[bytes],
    marked: bytes,
    messages: Sequence[Sequence[Part]],
) -> Mapping[str, tuple[TurnToken, ...]]:
    """Return each turn's tokens in order; none for a turn that the prompt does not spell.

    A tokenizer that changes the text, such as GPT-1's to lower case, spells only what it leaves.

    Args:
        pieces: bytes of the prompt's tokens.
        marked: bytes of the marked prompt.
        messages: parts of each message, in the order of the marks.
    """
    text, ends = spell(pieces)
    found: dict[str, tuple[TurnToken, ...]] = {}
    at = first = 0
    for literal, parts in zip(_literals(marked, len(messages)), messages, strict=True):
        place = _after(text, literal, at)
        message = "\n\n".join(part.text for part in parts)
        spelled = None if place is None else _spelled(text, message, place)
        if spelled is None:
            continue
        at = spelled.begin + len(spelled.text.encode())
        while first < len(ends) and ends[first] <= spelled.begin:
            first += 1
        tokens = list(_characters(spelled, ends, first))
        for part in parts:
            found[part.key] = tuple(_within(tokens, part))
    return found


def _literals(marked: bytes, count: int) -> Iterator[bytes]:
    """Bytes before each mark; none, where a template has left one out."""
    for number in range(count):
        before, sign, after = marked.partition(mark(number).encode())
        marked = after if sign else marked
        yield before if sign else b""


def _after(text: bytes, literal: bytes, at: int) -> int | None:
    """The place behind a literal: right here, or further on."""
    # A transcript strips what the message begins with, a template may strip its own end.
    for wanted in (literal, literal.rstrip()):
        if text.startswith(wanted, at):
            return at + len(wanted)
    place = text.find(literal, at)
    return None if place < 0 else place + len(literal)


class _Spelled(NamedTuple):
    """Part of a message that a prompt has."""

    begin: int
    """In bytes of the prompt."""
    text: str
    skipped: int
    """Characters of the message before it."""


def _spelled(text: bytes, message: str, place: int) -> _Spelled | None:
    """A message at a place, with or without the white space around it."""
    if not (core := message.strip()):
        return None
    if text.startswith(message.encode(), place):
        return _Spelled(place, message, 0)
    while text[place : place + 1].isspace():
        place += 1
    if not text.startswith(core.encode(), place):
        return None
    return _Spelled(place, core, len(message) - len(message.lstrip()))


def _characters(spelled: _Spelled, ends: Sequence[int], first: int) -> Iterator[TurnToken]:
    """Tokens of a message from token `first` on, by characters of the message."""
    size, skipped = len(spelled.text.encode()), spelled.skipped
    starts = character_starts(spelled.text)
    before = ends[first - 1] if first else 0
    for position in range(first, len(ends)):
        low, high = before - spelled.begin, ends[position] - spelled.begin
        before = ends[position]
        if low >= size:
            return
        if high > 0:
            start, end = starts[max(low, 0)], starts[min(high, size)]
            yield TurnToken(position, skipped + start, skipped + end)


def _within(tokens: Iterable[TurnToken], part: Part) -> Iterator[TurnToken]:
    """The tokens that spell a part of a message, by characters of the part."""
    length = len(part.text)
    for position, start, end in tokens:
        low, high = max(0, start - part.start), min(length, end - part.start)
        if low < high or (start == end and 0 <= start - part.start < length):
            yield TurnToken(position, low, high)
