"""Branches of a tree of versions: runs between its forks, for a map of it; those of a chat."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from gptterm.conversation.markdown_text import markdown_text
from gptterm.conversation.nodes import Node
from gptterm.conversation.reply_form import is_markdown
from gptterm.conversation.tree import Conversation
from gptterm.format import plural, short_name

MOST_TEXT = 120
"""Characters of a branch's text that are kept."""


class ChatBranch(NamedTuple):
    """Turns that follow each other without a fork."""

    first: str
    """The turn that begins it."""
    last: str
    """The turn that it ends with."""
    depth: int
    """Forks above it."""
    text: str
    """The beginning of its first turn, without marks of Markdown."""
    numbers: tuple[str, ...]
    """Its speaker, if it begins with a reply, and its sizes."""
    is_selected: bool
    """It is on the path in view."""
    is_current: bool
    """The turn in view is one of its own."""
    name: str
    """Empty for none."""


def runs(children: Callable[[str | None], Sequence[str]]) -> Iterator[tuple[list[str], int]]:
    """Yield the runs of versions without a fork, and the number of forks above each.

    A run comes before those that fork from it, the oldest first.

    Args:
        children: Returns the versions right after one, oldest first; None: the first versions.
    """
    waiting = [(child, 0) for child in reversed(children(None))]
    while waiting:
        first, depth = waiting.pop()
        run = [first]
        while len(after := children(run[-1])) == 1:
            run.append(after[0])
        yield run, depth
        waiting.extend((child, depth + 1) for child in reversed(after))


def chat_branches(tree: Conversation, current: str | None) -> list[ChatBranch]:
    """Return the branches of a chat, for a map.

    Args:
        tree: The chat.
        current: The turn in view.
    """
    path = set(tree.path())
    return [
        ChatBranch(
            first=run[0],
            last=run[-1],
            depth=depth,
            text=_beginning(tree, tree.node(run[0])),
            numbers=_numbers([tree.node(key) for key in run]),
            is_selected=run[0] in path,
            is_current=current in run,
            name=tree.node(run[0]).name,
        )
        for run, depth in runs(tree.children)
    ]


def _beginning(tree: Conversation, node: Node) -> str:
    """Return the beginning of a turn, without marks of Markdown."""
    if not is_markdown(tree, node):
        return node.text[:MOST_TEXT]
    # A mark that a cut would part from its end is beyond what is kept, mostly.
    return markdown_text(node.text[: 4 * MOST_TEXT])[:MOST_TEXT]


def _numbers(nodes: Sequence[Node]) -> tuple[str, ...]:
    tokens = sum(run.tokens for node in nodes for run in node.generations)
    speaker = "you" if nodes[0].role == "user" else short_name(nodes[0].model) or "reply"
    return (speaker, plural(len(nodes), "turn"), *([plural(tokens, "token")] if tokens else []))
