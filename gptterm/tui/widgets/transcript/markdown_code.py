"""Colours of code blocks: Pygments' tokens as spans, within bounds."""

import time
from collections.abc import Iterator

from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, Number, Operator, String, _TokenType
from pygments.util import ClassNotFound

from gptterm.tui.widgets.transcript.lines import Span, spans_by_line

_NAMES = (
    "bash c c++ cpp css diff go html ini java javascript js json lua makefile php py python r rb"
    " ruby rs rust sh shell sql swift toml ts tsx typescript xml yaml yml zig"
)
LANGUAGES = frozenset(_NAMES.split())
"""Languages with colours. Others' lexers have patterns that may take forever."""
MAX_CODE = 20_000
"""Characters of a block with colours."""
MAX_ROW = 1000
"""Characters of its longest row: some patterns take the square of a row's time."""
BUDGET_S = 0.05
"""Time for a block; the rest of it has no colours."""

_STYLES: tuple[tuple[_TokenType, str], ...] = (
    (Comment, "code-comment"),
    (String, "code-string"),
    (Number, "code-number"),
    (Keyword, "code-keyword"),
    (Operator.Word, "code-keyword"),
    (Name.Function, "code-name"),
    (Name.Class, "code-name"),
    (Name.Builtin, "code-name"),
    (Name.Tag, "code-keyword"),
    (Name.Attribute, "code-name"),
    (Name.Decorator, "code-name"),
)


def highlight_code(code: str, language: str) -> dict[int, list[Span]]:
    """Return the coloured spans of a block.

    Args:
        code: The block's text.
        language: Name of its language, in any case.

    Returns:
        Index of a row → its spans; empty for a language without colours, or too much text.
    """
    rows = code.split("\n")
    name = language.lower()
    if name not in LANGUAGES or len(code) > MAX_CODE or max(map(len, rows)) > MAX_ROW:
        return {}
    return spans_by_line(rows, _spans(code, name))


def _spans(code: str, language: str) -> Iterator[Span]:
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        return
    end = time.monotonic() + BUDGET_S
    for start, kind, text in lexer.get_tokens_unprocessed(code):
        if time.monotonic() > end:
            return
        style = next((style for parent, style in _STYLES if kind in parent), None)
        if style is not None and text:
            yield Span(start, start + len(text), style)
