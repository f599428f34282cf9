"""Sections of Inspect mode's views: what is said about the token that is looked at."""

import math
from collections.abc import Iterator, Sequence

from gptterm.charts.cells import piece_text, probability
from gptterm.charts.figure import Cell, Column, Section, Table
from gptterm.charts.layout import section_lines
from gptterm.charts.views.attention import (
    attention_sections,
    head_title,
    heads_section,
    map_section,
)
from gptterm.charts.views.lens import lens_grid, lens_section
from gptterm.charts.views.next_token import next_token_sections
from gptterm.charts.views.scores import scores_table, summary_lines
from gptterm.engine.api import NextToken
from gptterm.engine.inspection.answers import TokenScore, TokenView
from gptterm.format import perplexity
from gptterm.tui.state.inspecting import Inspecting

FEWEST_ROWS, TABLE_NOTES = 5, 3
"""Tokens around the one that is looked at, in the table of scores, even where there is no room;
rows around theirs."""
FEWEST_LAYERS, GRID_NOTES = 4, 4
"""Of the grids of heads and of the lens, which leave half of the rows to what stands below."""


def sections(look: Inspecting) -> Sequence[Section]:
    """Return what the view shows; why it shows nothing, if it does not."""
    if waits := look.waits_for:
        return (Section("", None, (waits,)),)
    if look.problem:
        return (Section("", None, (look.problem,)),)
    if look.subject is None:
        return (Section("", None, ("there is no text to look into yet: o opens a file",)),)
    if not look.pieces:
        return (Section("", None, ("reading the text",)),)
    found = tuple(_VIEWS[look.view](look))
    return found or (Section("", None, ("asking the model",)),)


def _token(look: Inspecting) -> Iterator[Section]:
    view = look.found.token
    if view is None or view.position > len(look.pieces):
        return
    if view.position < len(look.pieces):
        yield _facts(look, view)
    after = look.pieces[view.position - 1].piece if view.position else b""
    yield from next_token_sections(view, after)


def _facts(look: Inspecting, view: TokenView) -> Section:
    """The token: what it is, and what the model made of it."""
    piece = look.pieces[view.position]
    rows = [
        ("token", piece_text(piece.piece)),
        ("bytes", piece.piece.hex(" ").upper() or "none"),
        ("id", str(piece.id)),
    ]
    score = view.score
    if score is not None and score.logprob is not None and score.rank is not None:
        used = f"cut by {view.cut}" if view.cut else f"{probability(view.used or 0.0)} used"
        rows += [
            ("probability", f"{probability(math.exp(score.logprob))} raw · {used}"),
            ("rank", f"{score.rank:,}"),
            ("surprisal", f"{score.surprisal_bits:.2f} bits"),
            ("entropy", _entropies(score, view.distribution)),
        ]
    cells = [(Cell(name, dim=True), Cell(text)) for name, text in rows]
    return Section(
        f"token at position {view.position:,}", Table((Column("", least=11), Column("")), cells)
    )


def _entropies(score: TokenScore, found: NextToken | None) -> str:
    """Of the model's distribution, and of the one that the samplers draw from."""
    used = "" if found is None else f" raw · {found.used_entropy_bits:.2f} used"
    return f"{score.entropy_bits:.2f} bits{used}"


def _heat(look: Inspecting) -> Iterator[Section]:
    scores = look.scores
    if not scores:
        return
    upto = scores[: look.looked_at + 1]
    nats = [-score.logprob for score in upto if score.logprob is not None]
    so_far = perplexity(math.exp(sum(nats) / len(nats)), 4) if nats else "not known"
    notes = [f"perplexity up to position {len(upto) - 1:,}: {so_far}"]
    if look.summary is None:
        notes.append(f"{len(scores):,} of {len(look.pieces):,} tokens scored")
    else:
        info = look.controller.engine.info
        context = 0 if info is None else info.context_length
        whole, *rest = summary_lines(look.summary, context, None, "")
        notes += [f"the whole: {whole}", *rest]
    about = Section("", None, notes)
    yield about
    columns, room = look.room
    room -= len(list(section_lines(about, columns, ramp=False))) + TABLE_NOTES
    count = max(room, FEWEST_ROWS)
    first = max(0, min(look.looked_at - count // 2, len(scores) - count))
    near = scores[first : first + count]
    if near:
        yield Section("", scores_table(near, look.measure, first, marked=look.looked_at))


def _attention(look: Inspecting) -> Iterator[Section]:
    view, drawn = look.found.attention, look.found.map
    if view is None:
        return
    if look.is_map and drawn is not None and (drawn.layer, drawn.head) == look.head:
        yield map_section(drawn, look.pieces, hide_first=look.hides_first)
        return
    title = head_title(view.statistics, look.statistic, look.head)
    most = _most_layers(look)
    grid = heads_section(view.statistics, look.statistic, "of this token", look.head, most)
    whole, *rest = attention_sections(view, look.pieces, look.head, hide_first=look.hides_first)
    yield Section(title, grid.block, (*whole.notes, *grid.notes))
    yield from rest


def _most_layers(look: Inspecting) -> int:
    return max(FEWEST_LAYERS, look.room[1] // 2 - GRID_NOTES)


def _lens(look: Inspecting) -> Iterator[Section]:
    view = look.found.lens
    if view is None:
        return
    if len(view.columns) > 1:
        yield lens_grid(view, look.pieces, _most_layers(look))
    yield lens_section(view, len(view.columns) - 1, look.pieces)


_VIEWS = {"token": _token, "heat": _heat, "attention": _attention, "lens": _lens}
