"""Text that nobody vouches for, made fit for a terminal.

A model's output, a file's name and a server's words can hold bytes that a terminal obeys: escape
sequences that rewrite the screen or the title, or bidirectional controls that make text read as
what it is not. Here they become visible signs. In a pipe text stays as it is.
"""

import re

_REPLACED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)  # ␀ … ␟: Unicode's own pictures of the controls
    if code == 0x7F:
        return "␡"
    if 0xD800 <= code <= 0xDFFF:
        return "�"  # a lone surrogate cannot be written as UTF-8 at all
    return f"‹{code:04X}›"


def printable(text: str) -> str:
    """Return `text` with everything a terminal might obey made visible.

    C0 controls but newline and tab, DEL, C1 controls, Unicode's bidirectional controls and lone
    surrogates are replaced, each by itself: a stream may be cut anywhere between characters.
    Joiners stay, since emoji and Indic scripts need them.
    """
    return _REPLACED.sub(_visible, text)


def one_line(text: str) -> str:
    """Return `text` as one printable line: runs of white space become one space."""
    return printable(" ".join(text.split()))
