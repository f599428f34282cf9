"""Sanitise untrusted text for terminal output.

A model's output, a file name or a server's message can hold control characters: escape sequences
that rewrite the screen or the title, bidirectional controls that change how text reads. They are
replaced by visible symbols. Text for a pipe is not changed.
"""

import os
import re

# A string: `re` compiles it when it is first used.
_REPLACED = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)  # ␀ … ␟: Unicode's control pictures
    if code == 0x7F:
        return "␡"
    if 0xD800 <= code <= 0xDFFF:
        return "�"  # a lone surrogate cannot be written as UTF-8 at all
    return f"‹{code:04X}›"


def printable(text: str) -> str:
    """Replace the control characters in `text` by visible symbols.

    These are C0 controls except newline and tab, DEL, C1 controls, bidirectional controls and lone
    surrogates. Each is replaced on its own, since a stream may be cut between any two characters.
    Joiners stay: emoji and Indic scripts need them.
    """
    return re.sub(_REPLACED, _visible, text)


def one_line(text: str) -> str:
    """Return `text` as one printable line, with white space collapsed to single spaces."""
    return printable(" ".join(text.split()))


def is_dumb() -> bool:
    """Whether TERM says that the terminal cannot be drawn on; unset or empty says so, too."""
    return os.environ.get("TERM", "") in ("", "dumb")
