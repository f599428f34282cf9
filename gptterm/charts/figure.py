"""Figures: what is drawn, apart from where."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from gptterm.charts.scales import Scale

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Value = str | bytes | int | float | None
"""As plain text has it: bytes are a token's."""


class TintedToken(NamedTuple):
    """Token of a text."""

    piece: bytes
    value: float | None = None
    """On the text's scale; None: it has none."""
    note: str = ""
    """One line of numbers, where there is room for it: a tooltip."""
    marked: bool = False


@dataclass(frozen=True)
class TokenText:
    """Text, each token tinted by a value."""

    tokens: Sequence[TintedToken]
    scale: Scale | None = None
    """None: neighbours alternate, so that tokens are told apart."""
    first: int = 0
    """Position of the first token."""


class Cell(NamedTuple):
    """Cell of a table."""

    text: str
    value: Value = None
    """For plain text; None: `text`."""
    tint: float | None = None
    """On the table's scale."""
    bar: float | None = None
    """A bar instead of text: fraction of the column's width."""
    note: str = ""
    dim: bool = False


class Column(NamedTuple):
    """Column of a table."""

    title: str
    right: bool = False
    optional: int = 0
    """Where it is narrow, columns go by this number, the largest first; 0 stays."""
    least: int = 6
    """Cells to which a column of text may shrink."""


@dataclass(frozen=True)
class Table:
    """Rows of cells."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    scale: Scale | None = None


@dataclass(frozen=True)
class Matrix:
    """Values on two axes, drawn as tinted cells.

    Attributes:
        values: (rows, columns); NaN is no value.
        scale: of the values.
        row_labels: texts; likewise `column_labels`.
        numbers: write the values into the cells, where they fit.
        axes: names of what the rows and the columns are.
        marked: row and column of a cell that stands out.
    """

    values: "NDArray[np.float32]"
    scale: Scale
    row_labels: Sequence[str]
    column_labels: Sequence[str]
    axes: tuple[str, str]
    numbers: bool = False
    marked: tuple[int, int] | None = None


Block = TokenText | Table | Matrix


@dataclass(frozen=True)
class Section:
    """Block with a title, and lines of text below it."""

    title: str
    block: Block | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Figure:
    """Sections of one drawing."""

    title: str
    sections: Sequence[Section]
    notes: Sequence[str] = ()
    """Lines below the title."""
