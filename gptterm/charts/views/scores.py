"""Views of how a model scores a text."""

import math
from collections.abc import Sequence

from gptterm.charts.cells import piece_text, probability
from gptterm.charts.figure import (
    Cell,
    Column,
    Section,
    Table,
    TintedToken,
    TokenText,
    Value,
)
from gptterm.charts.measures import SCALES, Measure, measured
from gptterm.engine.inspection.answers import ScoreSummary, TokenScore
from gptterm.format import perplexity, plural

COLUMNS = ("position", "id", "piece", "logprob", "rank", "entropy_bits")
"""Of plain text."""
_TABLE = (
    Column("position", right=True, optional=2),
    Column("piece"),
    Column("p", right=True),
    Column("bits", right=True),
    Column("rank", right=True, optional=1),
    Column("entropy", right=True, optional=3),
    Column("alternatives", optional=4),
)


def tinted(token: TokenScore, measure: Measure, position: int) -> TintedToken:
    """A token tinted by a measure, with all of its numbers as a note."""
    return TintedToken(token.piece, measured(token, measure), f"{position}: {_numbers(token)}")


def _numbers(token: TokenScore) -> str:
    piece = piece_text(token.piece)
    if token.logprob is None or token.rank is None or token.entropy_bits is None:
        return f"{piece}, not scored"
    text = (
        f"{piece} p {probability(math.exp(token.logprob))}, {token.surprisal_bits:.1f} bits, "
        f"rank {token.rank:,}, entropy {token.entropy_bits:.1f} bits"
    )
    return f"{text}; {_alternatives(token)}" if token.alternatives else text


def _alternatives(token: TokenScore) -> str:
    return "  ".join(
        f"{piece_text(other.piece)} {probability(math.exp(other.logprob))}"
        for other in token.alternatives
    )


def score_row(token: TokenScore, position: int) -> tuple[Value, ...]:
    """A token's line of plain text, by `COLUMNS`; each alternative adds two values."""
    row: tuple[Value, ...] = (
        position, token.id, token.piece, token.logprob, token.rank, token.entropy_bits,
    )  # fmt: skip
    for other in token.alternatives:
        row += (other.piece, other.logprob)
    return row


def scores_table(
    tokens: Sequence[TokenScore], measure: Measure, first: int = 0, marked: int | None = None
) -> Table:
    """Tokens in rows; the column of the measure's numbers is tinted.

    Args:
        first: position of the first.
        marked: position of the one that is looked at.
    """
    scale = SCALES[measure]
    columns = _TABLE if any(token.alternatives for token in tokens) else _TABLE[:-1]
    rows = []
    for position, token in enumerate(tokens, first):
        sign = "▸" if position == marked else ""
        cells = [Cell(f"{sign}{position}", dim=not sign), Cell(piece_text(token.piece))]
        if token.logprob is None or token.rank is None or token.entropy_bits is None:
            cells += [Cell("")] * (len(columns) - 2)
        else:
            surprisal = token.surprisal_bits
            numbers = {
                "p": Cell(probability(math.exp(token.logprob))),
                "surprisal": Cell(f"{surprisal:.1f}"),
                "rank": Cell(f"{token.rank:,}"),
                "entropy": Cell(f"{token.entropy_bits:.1f}"),
            }
            numbers[measure] = numbers[measure]._replace(tint=measured(token, measure))
            cells += [*numbers.values(), Cell(_alternatives(token), dim=True)][: len(columns) - 2]
        rows.append(cells)
    return Table(columns, rows, scale)


def summary_lines(
    summary: ScoreSummary, context_length: int, byte_count: int | None, start: str
) -> list[str]:
    """Perplexity and bits a byte of the scores, and how they were taken.

    Args:
        context_length: of the model.
        byte_count: bytes of the scored text; None: of the scored pieces.
        start: text of the start token that was put before; empty for none.
    """
    if not summary.scored:
        return ["no token has a score: the first one follows nothing"]
    mean = -summary.logprob / math.log(2) / summary.scored
    lines = [
        f"perplexity {perplexity(summary.perplexity, 4)}, "
        f"{summary.bits_per_byte(byte_count):.3f} bits per byte, "
        f"{mean:.2f} bits a token, {plural(summary.scored, 'token')}"
    ]
    lines.append(
        f"the first token follows {start}"
        if start
        else "the first token is not scored: nothing stands before it"
    )
    if summary.windows > 1:
        lines.append(
            f"{summary.windows:,} windows of {context_length:,} tokens, each but the first scores "
            f"{summary.stride:,}"
        )
    return lines


def scores_section(
    tokens: Sequence[TokenScore],
    measure: Measure,
    notes: Sequence[str],
    *,
    as_table: bool = False,
) -> Section:
    """A text tinted by a measure, or its tokens in rows.

    Args:
        tokens: from position 0 on.
        notes: `summary_lines`.
    """
    block: Table | TokenText
    if as_table:
        block = scores_table(tokens, measure)
    else:
        items = [tinted(token, measure, position) for position, token in enumerate(tokens)]
        block = TokenText(items, SCALES[measure])
    return Section(f"{SCALES[measure].name} of each token", block, notes)
