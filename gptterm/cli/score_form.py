"""Form of `gptterm score`: what is scored, and how that is shown."""

from typing import Literal, NamedTuple

from gptterm.cli.inspection import Pictures


class ScoreForm(NamedTuple):
    """How a text is scored, and how the scores are shown."""

    measure: Literal["surprisal", "rank", "entropy"]
    as_table: bool
    totals: bool
    alternatives: int
    stride: int | None
    no_start: bool
    as_json: bool
    pictures: Pictures
    compare: str | None
    compare_dtype: str | None
