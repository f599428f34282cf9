"""Measures texts in the terminal that it runs in: the column of the cursor after each.

    python -m tests.tui.measured TEXTS RESULT

`TEXTS` is a JSON list; the columns go to `RESULT`, as JSON.
"""

import json
import os
import re
import sys
import termios
import tty
from pathlib import Path


def column_after(text: str) -> int:
    """The column that the terminal has the cursor in after a text, from 0."""
    os.write(1, f"\r\x1b[K{text}\x1b[6n".encode())
    answer = b""
    while not (found := re.search(rb"\x1b\[\d+;(\d+)R", answer)):
        answer += os.read(0, 64)
    return int(found[1]) - 1


def main() -> None:
    """Measure the texts."""
    texts, result = map(Path, sys.argv[1:])
    before = termios.tcgetattr(0)
    tty.setcbreak(0)
    try:
        columns = [column_after(text) for text in json.loads(texts.read_text())]
    finally:
        termios.tcsetattr(0, termios.TCSANOW, before)
    part = result.with_suffix(".part")
    part.write_text(json.dumps(columns))
    part.replace(result)


if __name__ == "__main__":
    main()
