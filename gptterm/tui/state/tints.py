"""Tints of a reply's tokens by their surprisal, from the scores that are kept with it."""

import math
from functools import lru_cache

from gptterm.charts.scales import RAMP, SURPRISAL
from gptterm.conversation.nodes import Node
from gptterm.conversation.token_scores import unpack

ALTERNATIVES = 5
"""Of each token, asked for while tints are shown."""
LEGEND = f"{SURPRISAL.title}: " + " ".join(
    f"{sign} {mark}" for sign, mark in zip(RAMP, SURPRISAL.marks, strict=True)
)
"""The scale, by the signs that stand for the tints where there are no colours."""

Tint = tuple[int, int, int]
"""Start and end of a part of the text, and its step on the scale, 0 to 7."""


@lru_cache(64)
def tints_of(scores: bytes) -> tuple[Tint, ...]:
    """Return the tints of a turn with these scores; none without scores.

    Tokens that spell one character together are one part, with the sum of their surprisal.
    """
    found: list[Tint] = []
    nats, done = 0.0, 0
    for token in unpack(scores):
        nats += max(0.0, -token.logprob)
        if token.end <= token.start or token.start < done:
            continue
        step = SURPRISAL.step(nats / math.log(2))
        assert step is not None
        found.append((token.start, token.end, step))
        nats, done = 0.0, token.end
    return tuple(found)


def describe(node: Node) -> str:
    """Return the legend, and why a reply is not tinted."""
    lacking = node.role == "assistant" and not node.scores
    return f"{LEGEND}{' · none kept with this reply: r makes one with them' if lacking else ''}"
