"""Terminal attacks: a corpus of hostile texts, by family.

They try to move the cursor and overwrite text, to set the title, the colours or the clipboard, to
make the terminal answer (as if its user typed), to hide or reorder text, and to begin a sequence
that harmless text completes.
"""

import itertools
from collections.abc import Iterator

ESC, CSI, OSC, DCS, ST, BEL = "\x1b", "\x9b", "\x9d", "\x90", "\x9c", "\x07"
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

_CSI = [
    "2J", "3J", "H", "1;1H", "10A", "10B", "10C", "10D", "2K", "1G", "31m", "38;2;255;0;0m", "8m",
    "7m", "0m", "6n", "5n", "c", ">c", "=c", "21t", "14t", "22;0t", "8;5;5t", "?1049h", "?1049l",
    "?25l", "?1000h", "?1003h", "?2004h", "?2004l", "?5h", "4h", "20h", "1;5r", "5S", "5T", "3L",
    "3M", "4@", "4P", "4X", "!p", "?6c", ">4;2m", "?996n", "i", "5i", "4i", "1 q", "100b", "x",
    "?1$p", "\"q", "61;1\"p", "s", "u", "?7727h", "0;0;0;0$r", "*y",
]  # fmt: skip
_OSC = [
    "0;title", "1;icon", "2;title", "4;1;rgb:ff/00/00", "4;1;?", "7;file://host/etc", "8;;http://x",
    "8;id=1;javascript:alert(1)", "9;notify", "9;4;1;50", "10;?", "11;?", "11;#ff0000", "12;red",
    "52;c;ZXZpbA==", "52;c;?", "52;p;IQ==", "104", "110", "112", "133;A", "133;C", "633;E;rm -rf",
    "777;notify;a;b", "1337;File=name=eA==;inline=1:AAAA", "1337;SetMark", "1337;CopyToClipboard=",
    "5522;type=read", "50;font", "L;x", "l;y", "99;i=1;hi", "22;pointer", "440;a.mp3", "666;x",
]  # fmt: skip
_STRINGS = [
    ("P", "$qm"), ("P", "+q544e"), ("P", "1$r0m"), ("P", "q#0;2;0;0;0#0~~"),
    ("P", "tmux;\x1b\x1b]0;x"),
    ("_", "Ga=T,f=100;AAAA"), ("_", "any"), ("^", "private"), ("X", "start"), ("k", "screen"),
]  # fmt: skip
_SHORT = ["c", "7", "8", "D", "E", "M", "H", "N", "O", "Z", "=", ">", "#8", "#3", "(0", ")B",
          "*0", "%G", "%@", " F", " G", "6", "9", "l", "n", "o", "|", "}", "~", "\\",
          "[", "]"]  # fmt: skip
_C1 = {"P": "\x90", "_": "\x9f", "^": "\x9e", "X": "\x98"}


def _families() -> Iterator[str]:
    for code in itertools.chain(range(0x20), range(0x7F, 0xA0)):
        if chr(code) not in "\n\t":
            yield f"a{chr(code)}b"
    for sign in BIDI:
        yield f"user{sign}nimda"
    yield "\u202e\u2066evil\u2069\u2066//\u202c"
    for body in _CSI:
        yield f"{ESC}[{body}"
        yield f"{CSI}{body}"
    for body, end in zip(_OSC, itertools.cycle((BEL, f"{ESC}\\", ST, "")), strict=False):
        yield f"{ESC}]{body}{end}"
        yield f"{OSC}{body}{end or BEL}"
    for (kind, body), end in itertools.product(_STRINGS, (f"{ESC}\\", ST, "")):
        yield f"{ESC}{kind}{body}{end}"
        if kind in _C1:
            yield f"{_C1[kind]}{body}{end}"
    for body in _SHORT:
        yield f"{ESC}{body}"
    yield from (
        "safe\rEVIL", "hunter2\b\b\b\b\b\b\b*******", f"{ESC}{ESC}[2J", f"{ESC}\n[2J",
        f"{ESC}[\x1b[\x1b[31m", f"{ESC}[1;\x0831m", f"{ESC}[3\x001m", f"{ESC}]0;a\x9cb", f"{ESC}[",
        f"{ESC}]", ESC, CSI, OSC, DCS, f"\ud800{ESC}[2J", f"\u0085{CSI}2J", f"{ESC}[{'9' * 5000}m",
        f"{ESC}]52;c;{'QUFB' * 2000}", f"人工{ESC}[2K智能", f"e\u0301{ESC}[A", f"👩‍👩‍👧{CSI}8m",
        "\x0e\x0fshift", "\x11\x13flow", "\x05answerback", "\x7f\x7f\x7f", f"#{ESC}[2J\n{ESC}[3J",
    )  # fmt: skip


ATTACKS: tuple[str, ...] = tuple(dict.fromkeys(_families()))
