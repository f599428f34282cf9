"""CommonMark with GFM's tables and strikethrough, parsed by markdown-it-py within a budget.

Import it lazily: markdown-it-py takes 30 ms to import, and the first frame does without.

The options follow from what the transcript is. Nothing may vanish from a model's reply, so link
reference definitions are not taken out of it, and raw HTML is text. Links are text as well, so
their URLs stay as they are written, unescaped but not percent-encoded.

A reply is untrusted input. Nesting is limited, which makes the time linear in the size of the
source; the budget limits it to a second, and the memory that tokens take to about 100 MB.
"""

import re
from collections.abc import MutableMapping
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, table
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

MAX_NESTING = 20
"""Levels of blocks (a quotation is one, a list with its item two) and of brackets."""
MAX_SOURCE = 400_000
"""Characters; more than any model writes in one reply."""
MAX_INLINE = 20_000
"""Characters of a paragraph above which its inline marks are left alone."""
MAX_TABLE_CELLS = 4096
"""Rows beyond them are not part of the table: two characters can make a row of any width."""
BUDGET = 50_000
"""Units of work for one source: a line tried as a block, an inline token, or a table cell.

400 KB of ordinary Markdown take that much, and up to a second.
"""


_LATEX = frozenset("()[]{},;:!\\")
"""Characters whose backslash is LaTeX's, which Markdown would take away."""
_INLINE_MARKS = re.compile(r"[\\`*_~\[<&]")


class BudgetExceededError(Exception):
    """The source is too large or too involved to be parsed."""


def parse_blocks(source: str, env: MutableMapping[str, Any]) -> list[Token]:
    """Parse the block structure; `inline` tokens have their content but no children yet.

    Args:
        source: Markdown.
        env: Shared with `parse_inline`, so that both draw on one budget.

    Raises:
        BudgetExceededError: the source is too long, or its structure too involved.
    """
    if len(source) > MAX_SOURCE:
        raise BudgetExceededError
    env["budget"] = BUDGET
    return _PARSER.parse(source, env)


def has_inline_marks(content: str) -> bool:
    """Whether the content of an `inline` token has to be parsed; else its lines are its text."""
    return len(content) <= MAX_INLINE and _INLINE_MARKS.search(content) is not None


def parse_inline(content: str, env: MutableMapping[str, Any]) -> list[Token]:
    """Parse the content of one `inline` token.

    Raises:
        BudgetExceededError: it would take too long.
    """
    return _PARSER.inline.parse(content, _PARSER, env, [])


def _spend(env: MutableMapping[str, Any], units: int) -> None:
    env["budget"] -= units
    if env["budget"] < 0:
        raise BudgetExceededError


def _count_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: ARG001
    """Charge for a line that is tried as the beginning of a block. Matches nothing."""
    _spend(state.env, 1)
    return False


def _count_inline(state: StateInline, silent: bool) -> bool:  # noqa: ARG001
    """Charge for an inline token. Matches nothing."""
    _spend(state.env, 1)
    return False


def _bounded_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Parse a table of at most `MAX_TABLE_CELLS`; missing cells count, since they are made up."""
    if silent:
        return table(state, start, end, silent)
    columns = state.src.count("|", state.bMarks[start], state.eMarks[start]) + 1
    if columns == 1 or columns > MAX_TABLE_CELLS:
        return False
    if not table(state, start, min(end, start + 2 + MAX_TABLE_CELLS // columns), silent):
        return False
    _spend(state.env, columns * (state.line - start))
    return True


def _literal_asterisk(state: StateInline, silent: bool) -> bool:
    """Leave an asterisk between two letters or digits alone, unlike CommonMark.

    It is a product far more often than emphasis within a word: `2*3*4`.
    """
    source, at = state.src, state.pos
    if source[at] != "*" or not (0 < at < state.posMax - 1):
        return False
    before, after = source[at - 1], source[at + 1]
    if not (before.isascii() and before.isalnum() and after.isascii() and after.isalnum()):
        return False
    if not silent:
        state.push("text", "", 0).content = "*"
    state.pos += 1
    return True


def _latex_backslash(state: StateInline, silent: bool) -> bool:
    r"""Keep the backslash of `\(`, `\[`, `\,` or `\\`, unlike CommonMark.

    It is LaTeX's far more often than an escape, and without it a formula cannot be copied.
    """
    source, at = state.src, state.pos
    if source[at] != "\\" or at + 1 >= state.posMax or source[at + 1] not in _LATEX:
        return False
    if not silent:
        state.push("text", "", 0).content = source[at : at + 2]
    state.pos += 2
    return True


class _Parser(MarkdownIt):
    def normalizeLink(self, url: str) -> str:  # noqa: N802
        """Leave a URL as it is written: it is shown, not followed."""
        return url

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802
        """Leave the text of an autolink as it is written."""
        return link


def _make_parser() -> MarkdownIt:
    parser = _Parser("commonmark", {"html": False, "maxNesting": MAX_NESTING})
    parser.enable(["table", "strikethrough"])
    parser.disable(["reference", "html_block", "html_inline"])
    # Inline tokens are many: `parse_inline` makes those of one paragraph at a time.
    parser.disable(["inline", "text_join"])
    chains = ["paragraph", "reference", "blockquote", "list"]
    parser.block.ruler.before("table", "count", _count_block, {"alt": chains})
    parser.block.ruler.at("table", _bounded_table, {"alt": ["paragraph", "reference"]})
    parser.inline.ruler.before("text", "count", _count_inline)
    parser.inline.ruler.before("escape", "latex_backslash", _latex_backslash)
    parser.inline.ruler.before("emphasis", "literal_asterisk", _literal_asterisk)
    return parser


_PARSER = _make_parser()
