"""Figures as HTML: one self-contained page, light and dark, without scripts."""

from collections.abc import Iterator
from html import escape

from gptterm.charts.cells import text_in_line
from gptterm.charts.figure import Block, Cell, Column, Figure, Table, TintedToken, TokenText
from gptterm.charts.scales import Scale
from gptterm.charts.svg import matrix_elements
from gptterm.charts.theme import style_sheet

_PAGE_STYLE = (
    "body{margin:0}main{max-width:60rem;margin:auto;padding:1.5rem}h1{font-size:1.2em}"
    "h2{font-size:1em;margin:1.6em 0 .6em}.scroll{overflow-x:auto}"
    ".text{white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.7}"
    ".text span{unicode-bidi:isolate;border-radius:2px}"
    "table{border-collapse:collapse}th{font-weight:400;text-align:left}"
    "th,td{padding:0 .6em;white-space:pre}.right{text-align:right}"
    "td div{height:.8em;min-width:1px}td.drawn{min-width:12em}.legend span{padding:0 .6em}"
)
# The text is a model's: even if something in it were taken for markup, nothing would be loaded.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def figure_html(figure: Figure) -> Iterator[str]:
    """Yield the parts of a page."""
    title = escape(figure.title)
    yield (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(_POLICY)}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title><style>{style_sheet()}{_PAGE_STYLE}</style></head>\n"
        f'<body class="page"><main><h1>{title}</h1>\n'
    )
    yield from map(_note, figure.notes)
    for section in figure.sections:
        yield "<section>\n"
        if section.title:
            yield f"<h2>{escape(section.title)}</h2>\n"
        if section.block is not None:
            yield from _block(section.block)
            if section.block.scale is not None:
                yield _legend(section.block.scale)
        yield from map(_note, section.notes)
        yield "</section>\n"
    yield "</main></body></html>\n"


def _note(text: str) -> str:
    return f'<p class="dim">{escape(text)}</p>\n'


def _legend(scale: Scale) -> str:
    steps = "".join(f'<span class="s{step}">{mark}</span>' for step, mark in enumerate(scale.marks))
    return f'<p class="legend"><i class="dim">{escape(scale.title)}, from </i>{steps}</p>\n'


def _block(block: Block) -> Iterator[str]:
    match block:
        case TokenText():
            yield '<p class="text">'
            for index, token in enumerate(block.tokens):
                yield _token(token, block.scale, index)
            yield "</p>\n"
        case Table():
            yield from _table(block)
        case _:
            drawn, width, height = matrix_elements(block)
            yield (
                f'<div class="scroll"><svg width="{width:.0f}" height="{height:.0f}" role="img">'
                f"{drawn}</svg></div>\n"
            )


def _token(token: TintedToken, scale: Scale | None, index: int) -> str:
    step = 1 + 2 * (index % 2) if scale is None else scale.step(token.value)
    classes = ["marked"] * token.marked + [f"s{step}"] * (step is not None)
    *lines, rest = token.piece.split(b"\n")
    text = "<br>".join([*(_text(line + b"\n") for line in lines), _text(rest)])
    return f"<span{_classes(classes)}{_tooltip(token.note)}>{text}</span>"


def _text(piece: bytes) -> str:
    return escape(text_in_line(piece))


def _classes(names: list[str]) -> str:
    return f' class="{" ".join(names)}"' if names else ""


def _tooltip(note: str) -> str:
    return f' title="{escape(note)}"' if note else ""


def _table(table: Table) -> Iterator[str]:
    yield '<div class="scroll"><table><thead><tr>'
    for column in table.columns:
        side = ' class="dim right"' if column.right else ' class="dim"'
        yield f"<th{side}>{escape(column.title)}</th>"
    yield "</tr></thead><tbody>\n"
    for row in table.rows:
        yield "<tr>"
        for column, cell in zip(table.columns, row, strict=True):
            yield _cell(cell, column, table.scale)
        yield "</tr>\n"
    yield "</tbody></table></div>\n"


def _cell(cell: Cell, column: Column, scale: Scale | None) -> str:
    if cell.bar is not None:
        width = f"width:{100 * cell.bar:.1f}%" if cell.bar else "width:0;min-width:0"
        return f'<td class="drawn"><div class="bar" style="{width}"></div></td>'
    step = scale.step(cell.tint) if scale is not None else None
    classes = ["right"] * column.right + ["dim"] * cell.dim + [f"s{step}"] * bool(step)
    return f"<td{_classes(classes)}{_tooltip(cell.note)}>{escape(cell.text)}</td>"
