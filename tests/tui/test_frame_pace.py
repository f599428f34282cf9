"""Pace of a stream's frames: the rest goes by what a frame takes, up to a bound."""

import pytest

from gptterm.tui.screens.frame_pace import LONGEST_REST_S, REST, FramePace


@pytest.mark.parametrize(
    ("taken", "rest"),
    [(0.0, 0.0), (0.002, REST * 0.002), (0.01, REST * 0.01), (3.0, LONGEST_REST_S)],
)
def test_a_frame_rests_by_what_it_takes(taken: float, rest: float) -> None:
    now, drawn = [0.0], list[float]()

    def prepare() -> None:
        drawn.append(now[0])
        now[0] += taken

    pace = FramePace(lambda: now[0])
    pace.draw(prepare)
    now[0] = taken + 0.99 * rest
    pace.draw(prepare)
    assert drawn == ([0.0] if rest else [0.0, 0.0])
    now[0] = taken + 1.01 * rest
    pace.draw(prepare)
    assert drawn[-1] == taken + 1.01 * rest
