"""Block tokens of Markdown to lines: indents of lists and quotations, code, headings, tables."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markdown_it.token import Token

from gptterm.conversation.markdown_parser import has_inline_marks, parse_inline
from gptterm.tui.widgets.transcript.lines import Line, Span
from gptterm.tui.widgets.transcript.markdown_code import highlight_code
from gptterm.tui.widgets.transcript.markdown_inline import inline_text, split_lines
from gptterm.tui.widgets.transcript.markdown_table import Alignment, Table

QUOTE_BAR = "▎ "
BULLETS = "•◦▪"
LIST_INDENT = "  "
RULE = "─" * 24
TASK_OPEN, TASK_DONE = "☐ ", "✓ "
COPY_HINT = " · b copy"
"""After the language of a code block: the transcript's key."""

_CONTAINER_MARKERS = re.compile(r"(?:\s|>|[-*+](?=\s|$)|\d{1,9}[.)](?=\s|$))*")
_TASK = re.compile(r"\[([ xX])\] ")
_HEADINGS = {"h1": "heading", "h2": "subheading"}
_ALIGNMENTS: dict[Any, Alignment] = {"text-align:right": "right", "text-align:center": "centre"}


@dataclass(slots=True)
class _Container:
    """A block quotation or a list item that is open."""

    start: int
    """Its first row of the source."""
    base: str
    """Indent up to its marker."""
    indent: str
    """Indent of its content."""
    marker: str = ""
    """Marker of a list item; empty once it is drawn."""
    is_quote: bool = False


class BlockRenderer:
    """Draws block tokens as lines, and keeps the blank lines of the source.

    The parser drops what is nested too deeply. Rows of the source that no block covers are
    therefore shown as they are.

    Args:
        source: The text that was parsed.
        env: What it was parsed with.
    """

    def __init__(self, source: str, env: dict[str, Any]) -> None:
        self._rows = source.split("\n")
        self._row = 0
        """First row of the source that is not drawn yet."""
        self._env = env
        self._blocks: list[Line | Table] = []
        self._containers: list[_Container] = []
        self._list_bases: list[str] = []
        """Indents of the markers of the lists that are open."""
        self._heading = ""
        """Style of the heading that is open."""
        self._table: Table | None = None

    def render(self, tokens: Sequence[Token]) -> list[Line | Table]:
        """The lines and tables of a whole source."""
        for token in tokens:
            if (handle := getattr(self, f"_on_{token.type}", None)) is not None:
                handle(token)
        self._skip_to(len(self._rows))
        return self._blocks

    # --------------------------------------------------------------------------- containers

    def _on_blockquote_open(self, token: Token) -> None:
        start = self._start(token)
        indent = self._indent
        self._containers.append(_Container(start, indent, indent + QUOTE_BAR, is_quote=True))

    def _on_blockquote_close(self, _token: Token) -> None:
        self._containers.pop()

    def _on_bullet_list_open(self, _token: Token) -> None:
        parent = self._containers[-1] if self._containers else None
        if parent is None or parent.is_quote or parent.marker:
            self._list_bases.append(self._indent)
        else:
            self._list_bases.append(parent.base + LIST_INDENT)

    def _on_bullet_list_close(self, _token: Token) -> None:
        self._list_bases.pop()

    _on_ordered_list_open = _on_bullet_list_open
    _on_ordered_list_close = _on_bullet_list_close

    def _on_list_item_open(self, token: Token) -> None:
        start = self._start(token)
        self._row = max(self._row, start + 1)
        bullet = BULLETS[min(len(self._list_bases), len(BULLETS)) - 1]
        marker = f"{token.info}{token.markup} " if token.info else f"{bullet} "
        base = self._list_bases[-1]
        self._containers.append(_Container(start, base, base + " " * len(marker), marker))

    def _on_list_item_close(self, _token: Token) -> None:
        item = self._containers[-1]
        if item.marker:
            row = self._rows[item.start]
            markers = _CONTAINER_MARKERS.match(row)
            self._add(row[markers.end() if markers else 0 :])
        self._containers.pop()

    # ------------------------------------------------------------------------------- leaves

    def _on_paragraph_open(self, token: Token) -> None:
        self._cover(token)

    def _on_heading_open(self, token: Token) -> None:
        self._cover(token)
        self._heading = _HEADINGS.get(token.tag, "minor-heading")

    def _on_heading_close(self, _token: Token) -> None:
        self._heading = ""

    def _on_inline(self, token: Token) -> None:
        if has_inline_marks(token.content):
            text, spans = inline_text(parse_inline(token.content, self._env))
        else:
            text, spans = "\n".join(map(str.strip, token.content.split("\n"))), []
        if self._table is not None:
            self._table.rows[-1].append((text, tuple(spans)))
            return
        if (task := _TASK.match(text)) and self._containers and self._containers[-1].marker:
            text, spans = self._tick(text, spans, task)
        styles = ["quote"] if any(c.is_quote for c in self._containers) else []
        styles += [self._heading] if self._heading else []
        for line, inner in split_lines(text, spans):
            outer = (Span(0, len(line), style) for style in styles)
            self._add(line, (*outer, *inner))

    def _tick(self, text: str, spans: list[Span], task: re.Match[str]) -> tuple[str, list[Span]]:
        """Draw the box of a task in place of its item's bullet."""
        item, cut = self._containers[-1], task.end()
        item.marker = TASK_DONE if task[1].strip() else TASK_OPEN
        item.indent = item.base + " " * len(item.marker)
        return text[cut:], [
            Span(s.start - cut, s.end - cut, s.style) for s in spans if s.start >= cut
        ]

    def _on_fence(self, token: Token) -> None:
        self._cover(token)
        language = token.info.strip()
        if language:
            head = f"{language}{COPY_HINT}"
            self._add(head, (Span(0, len(head), "faint"),), "code-block")
        code = token.content.removesuffix("\n")
        spans = highlight_code(code, language.partition(" ")[0])
        for index, row in enumerate(code.split("\n")):
            self._add(row, tuple(spans.get(index, ())), "code-block")

    _on_code_block = _on_fence

    def _on_hr(self, token: Token) -> None:
        self._cover(token)
        self._add(RULE, (Span(0, len(RULE), "faint"),))

    def _on_table_open(self, token: Token) -> None:
        self._cover(token)
        self._table = Table([], [], *self._take_indents())

    def _on_tr_open(self, _token: Token) -> None:
        if self._table is not None:
            self._table.rows.append([])

    def _on_th_open(self, token: Token) -> None:
        if self._table is not None:
            self._table.alignments.append(_ALIGNMENTS.get(token.attrs.get("style"), "left"))

    def _on_table_close(self, _token: Token) -> None:
        if self._table is not None:
            self._blocks.append(self._table)
            self._table = None

    # -------------------------------------------------------------------------------- lines

    @property
    def _indent(self) -> str:
        return self._containers[-1].indent if self._containers else ""

    def _take_indents(self) -> tuple[str, str]:
        """Initial and subsequent indent of the next line; markers are drawn once."""
        initial = subsequent = self._indent
        for container in self._containers:
            if marker := container.marker:
                at = len(container.base)
                initial = initial[:at] + marker + initial[at + len(marker) :]
                container.marker = ""
        return initial, subsequent

    def _add(self, text: str, spans: tuple[Span, ...] = (), style: str = "") -> None:
        initial, subsequent = self._take_indents()
        padding = " " if style else ""
        self._blocks.append(Line(text, spans, initial + padding, subsequent + padding, style))

    def _start(self, token: Token) -> int:
        """Draw the rows up to a token, and return its first row."""
        start = token.map[0] if token.map else self._row
        self._skip_to(start)
        return start

    def _cover(self, token: Token) -> None:
        """Draw the rows up to a token; its own are drawn by its content."""
        self._start(token)
        self._row = max(self._row, token.map[1] if token.map else 0)

    def _skip_to(self, end: int) -> None:
        """Draw rows that no block covers: blank ones, and what is nested too deeply."""
        for row in self._rows[self._row : end]:
            if row.strip().strip("> "):
                self._blocks.append(Line(row))
            else:
                indent = self._indent if QUOTE_BAR in self._indent else ""
                self._blocks.append(Line("", (), indent, indent))
        self._row = max(self._row, end)
