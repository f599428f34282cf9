"""Grid of heads: of a deep model, the layers around the one that matters."""

import numpy as np
import pytest

from gptterm.charts.figure import Matrix
from gptterm.charts.views.attention import heads_section
from gptterm.engine.inspection.answers import HEAD_STATISTICS, Numbers


@pytest.mark.parametrize(
    ("marked", "most", "first"),
    [(None, 8, 16), ((2, 1), 8, 0), ((11, 1), 8, 7), ((29, 0), 8, 22), (None, None, 0)],
)
def test_a_deep_model(marked: tuple[int, int] | None, most: int | None, first: int) -> None:
    values = np.zeros((len(HEAD_STATISTICS), 30, 3))
    values[HEAD_STATISTICS.index("induction"), 20, 2] = 0.5
    section = heads_section(Numbers.of(values), "induction", "", marked, most)
    assert isinstance(section.block, Matrix)
    shown = most or 30
    assert section.block.row_labels == [str(layer) for layer in range(first, first + shown)]
    assert section.block.values.shape == (shown, 3)
    assert section.notes[0] == "largest: layer 20 · head 2, .50"
    if most:
        assert section.notes[1] == f"layers {first} to {first + 7} of 30"
    if marked is not None:
        assert section.block.marked == (marked[0] - first, marked[1])
