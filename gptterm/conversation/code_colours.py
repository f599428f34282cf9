"""Colours of code: the spans of Pygments' tokens that have one, within bounds."""

import time
from collections.abc import Iterator
from typing import NamedTuple

from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, Number, Operator, String, _TokenType
from pygments.util import ClassNotFound

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

_KINDS: tuple[tuple[_TokenType, str], ...] = (
    (Comment, "comment"),
    (String, "string"),
    (Number, "number"),
    (Keyword, "keyword"),
    (Operator.Word, "keyword"),
    (Name.Function, "name"),
    (Name.Class, "name"),
    (Name.Builtin, "name"),
    (Name.Tag, "keyword"),
    (Name.Attribute, "name"),
    (Name.Decorator, "name"),
)


class CodeSpan(NamedTuple):
    """Part of a code block with a colour of its own."""

    start: int
    end: int
    kind: str
    """`comment`, `string`, `number`, `keyword` or `name`."""


def code_spans(code: str, language: str) -> Iterator[CodeSpan]:
    """Yield the coloured spans of a block; none for a language without colours, or too much text.

    Args:
        code: The block's text.
        language: Name of its language, in any case.
    """
    name = language.lower()
    longest = max(map(len, code.split("\n")))
    if name not in LANGUAGES or len(code) > MAX_CODE or longest > MAX_ROW:
        return
    try:
        lexer = get_lexer_by_name(name)
    except ClassNotFound:
        return
    end = time.monotonic() + BUDGET_S
    for start, token, text in lexer.get_tokens_unprocessed(code):
        if time.monotonic() > end:
            return
        kind = next((kind for parent, kind in _KINDS if token in parent), None)
        if kind is not None and text:
            yield CodeSpan(start, start + len(text), kind)
