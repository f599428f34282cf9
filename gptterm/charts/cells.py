"""Texts of tokens, numbers and bars, in terminal cells."""

from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size

from gptterm.terminal import display_text

EIGHTHS = " ▏▎▍▌▋▊▉█"


def fit(text: str, width: int) -> str:
    """Pad or cut a text to exactly `width` cells; a cut is marked by …, but not one of padding."""
    if width <= 0:
        return ""
    if cell_len(text) > width and cell_len(text := text.rstrip(" ")) > width:
        text = set_cell_size(text, width - 1).rstrip() + "…"
    # A cut text too: half a wide character, or a space, may have left cells free.
    return set_cell_size(text, width)


def fit_words(text: str, width: int) -> str:
    """Cut a text to at most `width` cells at the end of a word, if that leaves half of it."""
    if cell_len(text) <= width:
        return text
    cut = set_cell_size(text, max(0, width - 1))
    # The word that ends at the cut is whole.
    words = cut if text[len(cut) : len(cut) + 1] == " " else cut.rpartition(" ")[0]
    return f"{(words if cell_len(words) * 2 >= width else cut).rstrip(' ,;:.-')}…"


def fit_parts(parts: Sequence[str], width: int) -> str:
    """Join parts by ` · `, at most `width` cells: the last ones are left out, the first is cut."""
    for count in range(len(parts), 0, -1):
        text = " · ".join(parts[:count])
        if cell_len(text) <= width:
            return text
    return fit(parts[0], width).rstrip() if parts else ""


def bar(fraction: float, width: int) -> str:
    """Draw a bar in eighths of a cell; anything above zero is visible."""
    if width <= 0 or fraction <= 0:
        return ""
    eighths = max(1, round(fraction * width * 8))
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def probability(value: float) -> str:
    """Format a probability in at most two significant digits: 1.0, .91, .004, <.001, 0."""
    if value == 0:
        return "0"
    if value >= 0.995:
        return "1.0"
    if value >= 0.0095:
        return f"{value:.2f}".removeprefix("0")
    return f"{value:.3f}".removeprefix("0") if value >= 0.001 else "<.001"


_LINE_SIGNS = {"\n": "↵", "\t": "⇥", "\r": "␍", "\u2028": "↵", "\u2029": "↵"}
_IN_TEXT = str.maketrans(_LINE_SIGNS)
_ALONE = str.maketrans({" ": "·", **_LINE_SIGNS})


def piece_text(piece: bytes) -> str:
    """Make a token's bytes visible; incomplete characters are shown in hexadecimal."""
    return _visible(piece, _ALONE) or '""'


def text_in_line(piece: bytes) -> str:
    """As `piece_text`, for a token inside a text: spaces stay, no bytes are no text."""
    return _visible(piece, _IN_TEXT)


def _visible(piece: bytes, signs: dict[int, str]) -> str:
    try:
        text = piece.decode()
    except UnicodeDecodeError:
        whole = piece.decode(errors="ignore").encode()
        if whole and piece.startswith(whole):
            return _visible(whole, signs) + _hex(piece[len(whole) :])
        return _hex(piece)
    shown = display_text(text.translate(signs))
    return _hex(piece) if piece and not cell_len(shown) else shown


def _hex(piece: bytes) -> str:
    return "<" + piece.hex(" ").upper() + ">"
