"""Turns of a chat as the transcript shows them: who wrote what, and how it ended."""

from dataclasses import dataclass

from gptterm.charts.measures import Measure
from gptterm.conversation.nodes import Node
from gptterm.format import latency, plural, short_name, token_rate
from gptterm.terminal import one_line
from gptterm.tui.state.tints import RawPart, Tint

QUEUED = "queued"
"""Key of messages and replies that are still in the queue and have no node yet."""
_MOST_THOUGHT = 2000
"""Characters of a reasoning: more than the rows it gets."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of the selected branch.

    Attributes:
        key: Node of the conversation, `SYSTEM` or `QUEUED`.
        label: Name of the speaker.
        position: Number among its siblings, from 1, and how many there are.
        details: What the reply was made with, the most important first.
        footer: Why the reply ended, where that is worth saying.
        thought: The beginning of the model's reasoning, on one line.
        markdown: The text is to be rendered as Markdown.
        dropped: The turn no longer fits the context.
        is_stopped: The reply was ended before its time.
        is_streaming: The text is still being written.
        tints: Parts of the text by a measure of their tokens; empty: it is not tinted.
        raw: Parts of the text that are shown by their bytes.
        cursor: Start and end of the token that is looked at.
        measure: Measure that tints tokens as they are written; None: nothing does.
    """

    key: str
    role: str
    label: str
    text: str
    position: tuple[int, int] = (1, 1)
    details: tuple[str, ...] = ()
    footer: str = ""
    thought: str = ""
    markdown: bool = False
    dropped: bool = False
    is_stopped: bool = False
    is_streaming: bool = False
    tints: tuple[Tint, ...] = ()
    raw: tuple[RawPart, ...] = ()
    cursor: tuple[int, int] | None = None
    measure: Measure | None = None


def speaker_label(node: Node) -> str:
    """Return the speaker's name: `you`, or the model's."""
    return "you" if node.role == "user" else short_name(node.model) or "reply"


def reply_details(node: Node) -> tuple[str, ...]:
    """Describe what a reply was made with: how it was stopped, tokens, their rate, the seed."""
    run = node.generation
    if run is None:
        return ()
    if run.origin:
        return (f"from {one_line(run.origin)}",)
    parts = [plural(sum(run.written_tokens for run in node.generations), "token")]
    if run.timings is not None and run.timings.tokens_per_s > 0:
        parts.append(token_rate(run.timings.tokens_per_s))
    if run.seed is not None and run.sampling.temperature > 0:
        parts.append(f"seed {run.seed}")
    return (*((_STOPPED[run.reason],) if is_stopped(node) else ()), *parts)


WRITTEN_ELSEWHERE = "● another gptterm is writing"
"""Stands for "cut off" in the details of a reply that is still being written."""
_STOPPED = {"cancelled": "■ stopped", None: "■ cut off"}


def is_stopped(node: Node) -> bool:
    """Whether a reply was ended before its time: by the user, or with the program."""
    run = node.generation
    return run is not None and not run.origin and run.reason in _STOPPED


def is_cut_off(node: Node) -> bool:
    """Whether a reply has not ended, as far as the history knows."""
    run = node.generation
    return run is not None and not run.origin and run.reason is None


def ending(node: Node) -> str:
    """Describe why a reply ended, unless it simply came to its end or was stopped."""
    run = node.generation
    if run is None:
        return ""
    match run.reason:
        case "error":
            return f"✗ failed: {run.error or 'the engine died'}"
        case "length":
            tokens = sum(run.written_tokens for run in node.generations)
            return f"… cut after {plural(tokens, 'token')}"
        case _:
            return "" if node.text else "(an empty reply)"


def thought(node: Node) -> str:
    """Return the beginning of the model's reasoning, on one line; empty if there is none."""
    return one_line(node.reasoning[:_MOST_THOUGHT])


def details(node: Node) -> str:
    """Summarise the model and settings that produced a reply, on one line."""
    # Not needed for the first frame.
    from gptterm.conversation.attribution import generation_summary

    run = node.generation
    if run is None:
        return ""
    parts = [generation_summary(node.generations)]
    if run.timings is not None and run.tokens:
        parts.append(f"first {latency(run.timings.first_token_s)}")
    return " · ".join(parts)
