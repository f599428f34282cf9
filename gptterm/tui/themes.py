"""Themes: gptterm's own, and the choice by name or by the terminal."""

from collections.abc import Mapping
from dataclasses import replace

from textual.theme import BUILTIN_THEMES, Theme

MUTED = "$foreground-muted $muted"
"""Style of the less important part of a text."""

PREFIX = "gptterm-"
"""Of the names of our own themes, which settings leave out."""

DARK = Theme(
    name="gptterm-dark",
    primary="#7aa2f7",
    secondary="#bb9af7",
    accent="#e0af68",
    foreground="#d5d9e6",
    background="#12141b",
    surface="#1b1e29",
    panel="#232734",
    success="#9ece6a",
    warning="#e0af68",
    error="#f7768e",
    dark=True,
    variables={
        "text-muted": "#a3a9bb",
        "foreground-muted": "#a3a9bb",
        "block-cursor-blurred-background": "#2b3350",
        "border": "#e0af68",
        "border-blurred": "#2f3445",
        "block-cursor-background": "#e0af68",
        "block-cursor-foreground": "#12141b",
        "footer-key-foreground": "#e0af68",
        "input-cursor-background": "#e0af68",
        "input-cursor-foreground": "#12141b",
        "input-selection-background": "#7aa2f7 35%",
        "scrollbar": "#2f3445",
        "scrollbar-hover": "#464c63",
        "scrollbar-active": "#e0af68",
        "scrollbar-background": "#12141b",
        "scrollbar-background-hover": "#12141b",
        "scrollbar-background-active": "#12141b",
    },
)

LIGHT = Theme(
    name="gptterm-light",
    primary="#2e5fb8",
    secondary="#7148b5",
    accent="#8a5100",
    foreground="#23262f",
    background="#fbfaf7",
    surface="#f1efe9",
    panel="#e6e3da",
    success="#35701f",
    warning="#8a5100",
    error="#b3263e",
    dark=False,
    variables={
        "text-muted": "#565a63",
        "foreground-muted": "#565a63",
        "block-cursor-blurred-background": "#dde3ee",
        "border": "#8a5100",
        "border-blurred": "#cfcabd",
        "block-cursor-background": "#8a5100",
        "block-cursor-foreground": "#fbfaf7",
        "footer-key-foreground": "#8a5100",
        "input-cursor-background": "#8a5100",
        "input-cursor-foreground": "#fbfaf7",
        "input-selection-background": "#2e5fb8 25%",
        "scrollbar": "#cfcabd",
        "scrollbar-hover": "#b5af9f",
        "scrollbar-active": "#8a5100",
        "scrollbar-background": "#fbfaf7",
        "scrollbar-background-hover": "#fbfaf7",
        "scrollbar-background-active": "#fbfaf7",
    },
)


CONTRAST = replace(
    DARK,
    name="gptterm-contrast",
    primary="#8ec7ff",
    secondary="#d9b8ff",
    accent="#ffd75f",
    foreground="#ffffff",
    background="#000000",
    surface="#1c1c1c",
    panel="#262626",
    success="#9dff7a",
    warning="#ffd75f",
    error="#ffb3b3",
    variables=DARK.variables
    | {
        "border": "#ffd75f",
        "border-blurred": "#8a8a8a",
        "block-cursor-background": "#ffd75f",
        "block-cursor-foreground": "#000000",
        "scrollbar": "#8a8a8a",
        "scrollbar-background": "#000000",
        "text-muted": "#d0d0d0",
        "foreground-muted": "#d0d0d0",
        "text-disabled": "#b0b0b0",
    },
)
"""All text with a contrast of at least 7 to 1."""


def _ansi(name: str, base: str, **colours: str) -> Theme:
    """Derive a theme of the terminal's own colours from Textual's, with visible borders."""
    theme = BUILTIN_THEMES[base]
    accent = colours["accent"]
    faint = dict.fromkeys(("border-blurred", "scrollbar", "scrollbar-hover"), "ansi_bright_black")
    marked = dict.fromkeys(("border", "scrollbar-active"), accent)
    trough = dict.fromkeys(
        (
            "scrollbar-background",
            "scrollbar-background-hover",
            "scrollbar-background-active",
            "scrollbar-corner-color",
        ),
        "ansi_default",
    )
    return replace(
        theme,
        name=name,
        variables={**theme.variables, **faint, **marked, **trough},
        **colours,  # type: ignore[arg-type]
    )


OWN = (
    DARK,
    LIGHT,
    CONTRAST,
    # Only colours that are readable with any palette: blue is too dark on black; yellow, cyan and
    # green are too bright on white.
    _ansi(
        "gptterm-ansi",
        "ansi-dark",
        primary="ansi_cyan",
        secondary="ansi_magenta",
        accent="ansi_yellow",
    ),
    _ansi(
        "gptterm-ansi-light",
        "ansi-light",
        primary="ansi_magenta",
        secondary="ansi_magenta",
        accent="ansi_blue",
        success="ansi_blue",
    ),
)


def variables(theme: Theme) -> dict[str, str]:
    """Return the styles' variables that Textual does not have.

    `$muted` is the text style of less important text: ANSI colours cannot be blended with the
    background, so it is dim there.
    """
    return {"muted": "dim" if theme.ansi else "not dim"}


def theme_name(setting: str, known: Mapping[str, Theme], environ: Mapping[str, str]) -> str | None:
    """Return the theme that a setting names; None if there is none.

    `auto` follows the terminal: ANSI colours if it has only 16, a light theme if COLORFGBG says
    that the background is light.
    """
    if setting != "auto":
        return next((name for name in (f"{PREFIX}{setting}", setting) if name in known), None)
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    light = background in ("7", "15")
    if environ.get("TERM") in ("linux", "vt100", "vt220"):
        return "gptterm-ansi-light" if light else "gptterm-ansi"
    return "gptterm-light" if light else "gptterm-dark"
