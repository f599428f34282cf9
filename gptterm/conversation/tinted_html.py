"""Tints in HTML exports: a reply's tokens by their surprisal, with their probabilities."""

import math
from collections.abc import Iterator

from gptterm.charts.scales import SURPRISAL
from gptterm.conversation.html_page import escaped
from gptterm.conversation.nodes import Node
from gptterm.conversation.token_scores import ScoredToken, unpack
from gptterm.terminal import one_line

STYLES = "\n".join(
    f".text .s{step} {{ background: rgb(226 122 44 / {12 * step}%); }}"
    for step in range(1, len(SURPRISAL.edges) + 1)
)
LEGEND = f"{SURPRISAL.title}: " + " ".join(
    f'<span class="s{step}">{mark}</span>' for step, mark in enumerate(SURPRISAL.marks)
)


def tinted(node: Node) -> str:
    """Render a turn's text as HTML, each scored token tinted by its surprisal."""
    parts, done = [], 0
    for start, end, tokens in _spans(node):
        if start < done or end > len(node.text):
            continue
        parts.append(escaped(node.text[done:start]))
        bits = sum(max(0.0, -token.logprob) for token in tokens) / math.log(2)
        note = one_line(" · ".join(map(_note, tokens)))
        parts.append(tinted_span(node.text[start:end], bits, note))
        done = end
    return "".join([*parts, escaped(node.text[done:])])


def tinted_span(text: str, bits: float, note: str) -> str:
    """Render a text as HTML, tinted by its surprisal in bits, with a note under the mouse."""
    step = SURPRISAL.step(bits)
    kind = f' class="s{step}"' if step else ""
    return f'<span{kind} title="{escaped(note)}">{escaped(text)}</span>'


def _spans(node: Node) -> Iterator[tuple[int, int, list[ScoredToken]]]:
    """Start and end of each part of the text that whole tokens spell, and these tokens."""
    partial: list[ScoredToken] = []
    for token in unpack(node.scores):
        partial.append(token)
        if token.end > token.start:
            yield token.start, token.end, partial
            partial = []


def _note(token: ScoredToken) -> str:
    """Probability of a token, and of its best alternatives."""
    shown = [f"{math.exp(min(0.0, token.logprob)):.3g}"]
    shown += [
        f"{other.piece.decode('utf-8', 'replace')!r} {math.exp(min(0.0, other.logprob)):.3g}"
        for other in token.alternatives
        if other.id != token.id
    ]
    return f"p {', or '.join(shown)}"
