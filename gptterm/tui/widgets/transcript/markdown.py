"""Markdown to styled lines, in one pass and without a parser's import.

A finished reply is styled for reading, not typeset: its line breaks stay, every character that is
not a mark of Markdown's is shown, and half a table or an unclosed fence is just text. Written
after CommonMark's rules for the constructs that chat models use: headings, emphasis, code,
fences, lists, quotations, rules, links and tables.
"""

import re
from collections.abc import Iterator

from rich.cells import cell_len

from gptterm.tui.widgets.transcript.lines import Line, Span
from gptterm.tui.widgets.transcript.markdown_table import Alignment, table_lines

_FENCE = re.compile(r"^( {0,3})(`{3,}|~{3,})\s*([^`\s]*)[^`]*$")
_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*?)\s*#*$")
_RULE = re.compile(r"^ {0,3}([-*_])(?:\s*\1){2,}\s*$")
_ITEM = re.compile(r"^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$")
_QUOTE = re.compile(r"^ {0,3}>\s?(.*)$")
_TABLE_ROW = re.compile(r"^\s*\|.*\|\s*$")
_TABLE_RULE = re.compile(r"^\s*\|(?:\s*:?-+:?\s*\|)+\s*$")
_PIPE = re.compile(r"(?<!\\)\|")
_INLINE = re.compile(
    r"\\(?P<escaped>[!-/:-@\[-`{-~])"
    r"|(?P<ticks>`+)(?P<code>.+?)(?<!`)(?P=ticks)(?!`)"
    r"|\*\*(?P<strong>\S(?:.*?\S)?)\*\*(?!\*)"
    r"|(?<!\w)__(?P<strong_>\S(?:.*?\S)?)__(?!\w)"
    r"|(?<![0-9A-Za-z])\*(?P<emphasis>[^\s*](?:[^*]*[^\s*])?)\*(?![0-9A-Za-z])"
    r"|(?<!\w)_(?P<emphasis_>[^\s_](?:[^_]*[^\s_])?)_(?!\w)"
    r"|~~(?P<strike>\S(?:.*?\S)?)~~"
    r"|\[(?P<label>[^\[\]]+)\]\((?P<url>[^()\s]+)\)"
)
_STYLES = {
    "strong": "strong",
    "strong_": "strong",
    "emphasis": "emphasis",
    "emphasis_": "emphasis",
    "strike": "strike",
}
BULLETS = "•◦▪"
LONGEST_STYLED = 4000
"""Characters of a line above which its inline marks are left alone: matching is quadratic."""


def has_table(source: str) -> bool:
    """Whether the lines of a text depend on the width of the view."""
    return any(map(_TABLE_RULE.match, source.split("\n")))


def markdown_lines(source: str, width: int = 0) -> list[Line]:
    """The lines of a Markdown text, to be wrapped and drawn.

    Args:
        width: cells that tables have to fit into; 0 is no limit.
    """
    rows = source.split("\n")
    lines: list[Line] = []
    at = 0
    while at < len(rows):
        if fence := _FENCE.match(rows[at]):
            end = _fence_end(rows, at, fence[2])
            lines.extend(_code_block(rows[at + 1 : end], fence[3]))
            at = end + 1
        elif _TABLE_ROW.match(rows[at]) and at + 1 < len(rows) and _TABLE_RULE.match(rows[at + 1]):
            end = at + 2
            while end < len(rows) and _TABLE_ROW.match(rows[end]):
                end += 1
            lines.extend(_table(rows[at:end], width))
            at = end
        else:
            lines.append(_line(rows[at]))
            at += 1
    return lines


def code_blocks(source: str) -> list[str]:
    """The contents of the fenced code blocks, in order."""
    rows = source.split("\n")
    blocks: list[str] = []
    at = 0
    while at < len(rows):
        if fence := _FENCE.match(rows[at]):
            end = _fence_end(rows, at, fence[2])
            blocks.append("\n".join(rows[at + 1 : end]))
            at = end
        at += 1
    return blocks


def _fence_end(rows: list[str], start: int, mark: str) -> int:
    closing = re.compile(rf"^ {{0,3}}{re.escape(mark[0])}{{{len(mark)},}}\s*$")
    for at in range(start + 1, len(rows)):
        if closing.match(rows[at]):
            return at
    return len(rows)


def _code_block(rows: list[str], language: str) -> Iterator[Line]:
    if language:
        yield Line(language, (Span(0, len(language), "faint"),), " ", " ", "code-block")
    for row in rows or [""]:
        yield Line(row, (), " ", " ", "code-block")


def _line(row: str) -> Line:
    if heading := _HEADING.match(row):
        text, spans = inline(heading[2])
        style = "heading" if len(heading[1]) < 3 else "subheading"
        return Line(text, (Span(0, len(text), style), *spans))
    if _RULE.match(row):
        return Line("─" * 24, (Span(0, 24, "faint"),))
    if quote := _QUOTE.match(row):
        text, spans = inline(quote[1])
        return Line(text, (Span(0, len(text), "quote"), *spans), "▎ ", "▎ ")
    if item := _ITEM.match(row):
        depth = len(item[1]) // 2
        mark = item[2] if item[2][0].isdigit() else BULLETS[min(depth, len(BULLETS) - 1)]
        lead = f"{'  ' * depth}{mark} "
        text, spans = inline(item[3])
        return Line(text, spans, lead, " " * cell_len(lead))
    return Line(*inline(row))


def inline(source: str, offset: int = 0) -> tuple[str, tuple[Span, ...]]:
    """Text and spans of a line's inline marks; spans begin at `offset`."""
    if len(source) > LONGEST_STYLED or not any(mark in source for mark in "\\`*_~["):
        return source, ()
    parts: list[str] = []
    spans: list[Span] = []
    at, length = 0, offset
    for match in _INLINE.finditer(source):
        parts.append(source[at : match.start()])
        length += match.start() - at
        text, inner = _inline_match(match, length)
        parts.append(text)
        spans.extend(inner)
        length += len(text)
        at = match.end()
    parts.append(source[at:])
    return "".join(parts), tuple(spans)


def _inline_match(match: re.Match[str], at: int) -> tuple[str, tuple[Span, ...]]:
    kind = match.lastgroup or ""
    if kind == "escaped":
        return match["escaped"], ()
    if kind == "code":
        code = match["code"].strip() or match["code"]
        return code, (Span(at, at + len(code), "code"),)
    if kind == "url":
        label, inner = inline(match["label"], at)
        link = Span(at, at + len(label), "link")
        if label == match["url"]:
            return label, (link, *inner)
        text = f"{label} ({match['url']})"
        return text, (link, *inner, Span(at + len(label), at + len(text), "faint"))
    text, inner = inline(match[kind], at)
    return text, (Span(at, at + len(text), _STYLES[kind]), *inner)


def _table(rows: list[str], width: int) -> list[Line]:
    heading, rule, *body = (_PIPE.split(row.strip()[1:-1]) for row in rows)
    columns = len(heading)
    cells = [[inline(cell.strip()) for cell in row] for row in (heading, *body)]
    filled = [(row + [("", ())] * columns)[:columns] for row in cells]
    aligns = [_alignment(mark.strip()) for mark in (rule + [""] * columns)[:columns]]
    return table_lines(filled, aligns, width)


def _alignment(mark: str) -> Alignment:
    if mark.endswith(":"):
        return "centre" if mark.startswith(":") else "right"
    return "left"
