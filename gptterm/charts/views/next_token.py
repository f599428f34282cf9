"""View of a next-token distribution, before and after the samplers."""

from collections.abc import Iterator

from gptterm.charts.cells import piece_text, probability
from gptterm.charts.figure import Cell, Column, Section, Table
from gptterm.engine.api import Candidate, NextToken
from gptterm.engine.inspection.answers import TokenView

_COLUMNS = (
    Column("rank", right=True, optional=3),
    Column("id", right=True, optional=4),
    Column("token"),
    Column("raw", right=True),
    Column("used", right=True, optional=2),
    Column("drawn", optional=1),
    Column("cut by"),
)


def next_token_sections(view: TokenView, after: bytes) -> Iterator[Section]:
    """The distribution that the token at the view's position is drawn from.

    Args:
        after: the token before it.
    """
    found = view.distribution
    if found is None:
        yield Section("next token", None, ("the first token follows nothing",))
        return
    most = max((each.used for each in found.candidates), default=0.0) or 1.0
    rows = [_row(i + 1, each, most) for i, each in enumerate(found.candidates)]
    yield Section(
        f"next token, after {piece_text(after)} at position {view.position - 1}",
        Table(_COLUMNS, rows),
        (*_summary(found), *_actual(view)),
    )


def _row(rank: int, candidate: Candidate, most: float) -> tuple[Cell, ...]:
    kept = candidate.cut is None
    return (
        Cell(str(rank), rank, dim=True),
        Cell(str(candidate.id), candidate.id, dim=True),
        Cell(piece_text(candidate.piece), candidate.piece, dim=not kept),
        Cell(probability(candidate.raw), candidate.raw),
        Cell(probability(candidate.used) if kept else "", candidate.used),
        Cell("", bar=candidate.used / most),
        Cell(candidate.cut or "", candidate.cut or "", dim=True),
    )


def _summary(found: NextToken) -> tuple[str, ...]:
    return (
        f"{found.kept:,} of {found.vocab_size:,} tokens kept, which have {found.kept_mass:.1%}",
        f"entropy {found.entropy_bits:.2f} bits raw, {found.used_entropy_bits:.2f} bits used",
    )


def _actual(view: TokenView) -> tuple[str, ...]:
    """The token that the text has there."""
    score = view.score
    if score is None or score.logprob is None or score.rank is None:
        return ()
    cut = f"cut by {view.cut}" if view.cut else f"used {probability(view.used or 0.0)}"
    return (
        f"the text goes on with {piece_text(score.piece)}: rank {score.rank:,}, "
        f"{score.surprisal_bits:.1f} bits, {cut}",
    )
