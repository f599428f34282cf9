"""Views of two models' scores of one text, side by side."""

import math
from collections.abc import Sequence

from gptterm.charts.cells import piece_text, probability
from gptterm.charts.figure import Cell, Column, Section, Table, TintedToken, TokenText, Value
from gptterm.charts.scales import KL
from gptterm.engine.inspection.answers import TokenScore
from gptterm.engine.inspection.comparison import ComparedToken
from gptterm.format import perplexity

COLUMNS = (
    "position", "id", "piece", "kl", "logprob", "rank", "entropy_bits", "other_logprob",
    "other_rank", "other_entropy_bits",
)  # fmt: skip
"""Of plain text."""
_TABLE = (
    Column("position", right=True, optional=2),
    Column("piece"),
    Column("KL", right=True),
    Column("p", right=True, optional=1),
    Column("p of other", right=True, optional=1),
    Column("says"),
    Column("other says"),
)


def comparison_row(token: ComparedToken, position: int) -> tuple[Value, ...]:
    """A token's line of plain text, by `COLUMNS`."""
    one, other = token.first, token.second
    return (
        position, one.id, one.piece, token.kl, one.logprob, one.rank, one.entropy_bits,
        other.logprob, other.rank, other.entropy_bits,
    )  # fmt: skip


def disagreement_section(tokens: Sequence[ComparedToken]) -> Section:
    """A text tinted by the KL divergence at each token.

    Args:
        tokens: from position 0 on.
    """
    items = [
        TintedToken(each.first.piece, each.kl, f"{position}: {_note(each)}")
        for position, each in enumerate(tokens)
    ]
    return Section("KL divergence at each token", TokenText(items, KL))


def _note(token: ComparedToken) -> str:
    piece = piece_text(token.first.piece)
    if token.kl is None:
        return f"{piece}, not scored"
    says = " | ".join(f"{_p(score)}, says {_says(score)}" for score in token[:2])
    return f"{piece} KL {KL.write(token.kl)} nats; {says}"


def _p(score: TokenScore) -> str:
    return "" if score.logprob is None else probability(math.exp(score.logprob))


def _says(score: TokenScore) -> str:
    if not score.alternatives:
        return ""
    best = score.alternatives[0]
    return f"{piece_text(best.piece)} {probability(math.exp(best.logprob))}"


def most_different_section(found: Sequence[tuple[int, ComparedToken]]) -> Section:
    """The tokens at which the distributions differ most, the most different first.

    Args:
        found: positions and tokens.
    """
    rows = [
        (
            Cell(str(position), position, dim=True),
            Cell(piece_text(token.first.piece), token.first.piece),
            Cell(KL.write(token.kl or 0.0), token.kl, tint=token.kl),
            Cell(_p(token.first), token.first.logprob),
            Cell(_p(token.second), token.second.logprob),
            Cell(_says(token.first)),
            Cell(_says(token.second)),
        )
        for position, token in found
    ]
    return Section("where they disagree most", Table(_TABLE, rows, KL))


def totals_section(
    rows: Sequence[tuple[str, float, float, float]], notes: Sequence[str]
) -> Section:
    """Both models' scores of the whole text.

    Args:
        rows: name, perplexity, bits per byte and summed logprob of each.
    """
    columns = (
        Column("model"),
        Column("perplexity", right=True),
        Column("bits per byte", right=True),
        Column("logprob", right=True, optional=1),
    )
    cells = [
        (
            Cell(name),
            Cell(perplexity(value, 4), value),
            Cell(f"{bits:.3f}", bits),
            Cell(f"{logprob:,.1f}", logprob),
        )
        for name, value, bits, logprob in rows
    ]
    return Section("", Table(columns, cells), notes)
