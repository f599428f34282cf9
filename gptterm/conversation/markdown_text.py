"""Text of Markdown without its marks, for titles."""

from collections.abc import Iterator
from functools import lru_cache


@lru_cache(maxsize=1024)
def markdown_text(source: str) -> str:
    """Return the text of Markdown; of links and pictures what is shown, not their addresses.

    Blocks are apart by a line break. What is too involved to be parsed stays as it is written.
    """
    # It takes 30 ms to import.
    from gptterm.conversation.markdown_parser import BudgetExceededError

    try:
        return "\n".join(filter(None, _blocks(source)))
    except BudgetExceededError:
        return source


def _blocks(source: str) -> Iterator[str]:
    from gptterm.conversation.markdown_parser import has_inline_marks, parse_blocks, parse_inline

    env: dict[str, object] = {}
    for token in parse_blocks(source, env):
        if token.type == "inline" and has_inline_marks(token.content):
            # A break has no content of its own.
            inline = parse_inline(token.content, env)
            yield "".join(each.content or "\n" * each.type.endswith("break") for each in inline)
        else:
            yield token.content.strip()
