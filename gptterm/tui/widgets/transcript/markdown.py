"""Markdown to styled lines.

A finished reply is styled for reading, not typeset: its line breaks and blank lines stay, and
every character that is not a mark of Markdown's is shown, the URLs of links and images as well.
markdown-it-py parses; it is imported with the first text that is Markdown.
"""

from typing import TYPE_CHECKING, Any

from gptterm.tui.widgets.transcript.lines import Line, plain_lines
from gptterm.tui.widgets.transcript.markdown_table import Table

if TYPE_CHECKING:
    from markdown_it.token import Token

Document = list[Line | Table]
"""A parsed text, not yet laid out for a width."""


def import_parser() -> None:
    """Import markdown-it-py, which takes 30 ms."""
    import gptterm.tui.widgets.transcript.markdown_blocks  # noqa: F401


def parse_markdown(source: str) -> Document:
    """Parse Markdown; a source that exceeds the parser's budget becomes plain lines.

    Args:
        source: `display_text` of a reply.
    """
    from gptterm.conversation.markdown_parser import BudgetExceededError, parse_blocks
    from gptterm.tui.widgets.transcript.markdown_blocks import BlockRenderer

    env: dict[str, Any] = {}
    try:
        return BlockRenderer(source, env).render(parse_blocks(source, env))
    except BudgetExceededError:
        return list(plain_lines(source))


def layout_markdown(document: Document, width: int) -> list[Line]:
    """The lines of a document.

    Args:
        document: The result of `parse_markdown`.
        width: Cells that tables have to fit into; 0 is no limit.
    """
    lines: list[Line] = []
    for block in document:
        if isinstance(block, Table):
            lines.extend(block.lines(width))
        else:
            lines.append(block)
    return lines


def code_blocks(source: str) -> list[str]:
    """The contents of the code blocks, in order; none if the parser's budget is exceeded."""
    from gptterm.conversation.markdown_parser import BudgetExceededError, parse_blocks

    try:
        tokens = parse_blocks(source, {})
    except BudgetExceededError:
        return []
    return [code_of(token) for token in tokens if token.type in ("fence", "code_block")]


def code_of(token: "Token") -> str:
    """The content of a code block, without the newline before its closing fence."""
    start, end = token.map or (0, 0)
    is_unclosed = token.type == "fence" and end - start < token.content.count("\n") + 2
    return token.content if is_unclosed else token.content.removesuffix("\n")
