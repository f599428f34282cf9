"""Styles of SVG and HTML: light and dark, by the reader's preference."""

from gptterm.charts.scales import DARK, LIGHT, Colours

FONT = (
    "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Noto Sans Mono CJK JP',"
    "monospace"
)
_DIM = {"light": "#6b6259", "dark": "#a39b92"}
_BAR = {"light": "#c8622a", "dark": "#e08a44"}
_LINE = {"light": "#d9d2ca", "dark": "#4a433c"}


def _rules(kind: str, tints: tuple[Colours, ...]) -> str:
    page, ink = tints[0]
    rules = [
        f".page{{fill:{page};background:{page};color:{ink}}}",
        f"text{{fill:{ink}}}",
        f".dim{{fill:{_DIM[kind]};color:{_DIM[kind]}}}",
        f".bar{{fill:{_BAR[kind]};background:{_BAR[kind]}}}",
        f".line{{stroke:{_LINE[kind]};border-color:{_LINE[kind]}}}",
    ]
    for step, (background, text) in enumerate(tints):
        rules.append(f".b{step}{{fill:{background}}}.t{step}{{fill:{text}}}")
        rules.append(f".s{step}{{background:{background};color:{text}}}")
    return "".join(rules)


def style_sheet() -> str:
    """Rules for both: `bN` fills a shape, `tN` a text on it, `sN` tints an element of HTML."""
    shared = (
        f"main{{font:14px/20px {FONT}}}.strong{{font-weight:600}}.title{{font-weight:700}}"
        ".marked{font-weight:700;text-decoration:underline}.line{fill:none}text{white-space:pre}"
    )
    dark = _rules("dark", DARK)
    return f"{shared}{_rules('light', LIGHT)}@media(prefers-color-scheme:dark){{{dark}}}"
