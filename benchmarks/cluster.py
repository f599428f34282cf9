"""How a batch's throughput grows with a server's workers: measured, and drawn as an SVG.

    python -m benchmarks.cluster [FILE]

Scripted servers stand in for the cluster, and the picture says so: each worker decodes 8 sequences
at once, a token every 50 ms. So what is measured is the runner, which has to keep all of them busy.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks.batch import serve

WORKERS = (1, 2, 4, 8)
SLOTS = 8
TOKEN_S = 0.05
TOKENS = 32
ROUNDS = 4
"""Replies of each slot."""
_WIDTH, _HEIGHT, _MARGIN = 640, 360, 60


def measure() -> dict[int, float]:
    """Return the tokens a second by number of workers."""
    speeds = {}
    for workers in WORKERS:
        slots = workers * SLOTS
        load = serve(slots * ROUNDS, slots, TOKEN_S * TOKENS, TOKENS)
        speeds[workers] = load.requests * TOKENS / load.wall_s
        print(f"  {workers} workers: {speeds[workers]:.0f} tok/s", file=sys.stderr)
    return speeds


def ideal(workers: int) -> float:
    """Tokens a second of workers that are never idle."""
    return workers * SLOTS / TOKEN_S


def draw(speeds: Mapping[int, float]) -> str:
    """Draw the measured points and the ideal line."""
    most = ideal(max(speeds))

    def place(workers: float, speed: float) -> tuple[float, float]:
        x = _MARGIN + (_WIDTH - 2 * _MARGIN) * workers / max(speeds)
        return x, _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * speed / most

    parts = [_line(place(0, 0), place(max(speeds), most), "#888", "6 4")]
    parts += [_line(place(0, 0), place(0, most), "#444"), _line(place(0, 0), place(8, 0), "#444")]
    for workers, speed in speeds.items():
        x, y = place(workers, speed)
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="#0a7"/>')
        parts.append(_text(x - 8, y - 10, f"{speed:,.0f}", "end"))
        parts.append(_text(place(workers, 0)[0], _HEIGHT - _MARGIN + 20, str(workers), "middle"))
    parts.append(_text(_WIDTH / 2, _HEIGHT - 14, "workers, 8 sequences each", "middle"))
    parts.append(_text(_MARGIN, 24, "tokens a second of gptterm batch; dashed: no idle worker"))
    parts.append(_text(_MARGIN, 42, "scripted servers stand in for the cluster (50 ms a token)"))
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="13">'
    )
    paper = '<rect width="100%" height="100%" fill="#fff"/>'
    return "\n".join([head, paper, *parts, "</svg>", ""])


def _line(
    start: tuple[float, float], end: tuple[float, float], colour: str, dash: str = "none"
) -> str:
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
        f'stroke="{colour}" stroke-dasharray="{dash}"/>'
    )


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def main() -> None:
    """Measure, and write the picture."""
    file = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/cluster.svg")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(draw(measure()), "utf-8")
    print(file)


if __name__ == "__main__":
    main()
