"""Turns of a chat as the transcript shows them: who wrote what, and how it ended."""

from dataclasses import dataclass

from gptterm.conversation.nodes import Node
from gptterm.format import latency, plural, short_name

SYSTEM = "system"
"""Key of the system text, which is shown like a turn but is not one."""
QUEUED = "queued"
"""Key of messages and replies that are still in the queue and have no node yet."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn of the selected branch.

    Attributes:
        key: Node of the conversation, `SYSTEM` or `QUEUED`.
        label: Name of the speaker.
        position: Number among its siblings, from 1, and how many there are.
        footer: How the reply ended, where that is worth saying.
        markdown: The text is to be rendered as Markdown.
        dropped: The turn no longer fits the context.
        is_streaming: The text is still being written.
    """

    key: str
    role: str
    label: str
    text: str
    position: tuple[int, int] = (1, 1)
    footer: str = ""
    markdown: bool = False
    dropped: bool = False
    is_streaming: bool = False


def speaker_label(node: Node) -> str:
    """Return the speaker's name: `you`, or the model's."""
    return "you" if node.role == "user" else short_name(node.model) or "reply"


def ending(node: Node) -> str:
    """Describe how a reply ended, unless it simply came to its end."""
    run = node.generation
    if run is None:
        return ""
    match run.reason:
        case "cancelled":
            return "■ stopped"
        case "error":
            return f"✗ failed: {run.error or 'the engine died'}"
        case "length":
            return f"… cut after {plural(sum(run.tokens for run in node.generations), 'token')}"
        case None:
            return "■ cut off"
        case _:
            return "" if node.text else "(an empty reply)"


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
