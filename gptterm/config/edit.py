"""Edits of config.toml that keep its comments and its order."""

import os
import re
from pathlib import Path

from gptterm.errors import UsageError
from gptterm.own_files import make_folder, write_own
from gptterm.regular_files import read_regular
from gptterm.terminal import one_line

_MOST_BYTES = 1 << 20


def save_text(path: Path, table: str, name: str, value: str) -> None:
    """Set a text in a table of the file, which is created where it is missing.

    A file that is a link stays one: what it points to is written.

    Raises:
        UsageError: The file cannot be read or written, is no TOML, or has the value in a form that
            cannot be edited.
    """
    target = Path(os.path.realpath(path))
    try:
        source = read_regular(target, _MOST_BYTES).decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        source = ""
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {one_line(str(path))}: {error}") from None
    try:
        changed = with_text(source, table, name, value)
        make_folder(target.parent)
        write_own(target, changed.encode(), overwrite=True)
    except ValueError as error:
        raise UsageError(f"cannot edit {one_line(str(path))}: {error}") from None
    except OSError as error:
        raise UsageError(f"cannot write {one_line(str(path))}: {error.strerror}") from None


def with_text(source: str, table: str, name: str, value: str) -> str:
    """Return TOML with `name = "value"` in a table, and nothing else changed.

    Raises:
        ValueError: It is no TOML, or its form does not allow that.
    """
    import json
    import tomllib

    expected = tomllib.loads(source)
    expected.setdefault(table, {})[name] = value
    statement = f"{name} = {json.dumps(value, ensure_ascii=False)}"
    lines = source.split("\n")
    header = _find(lines, rf"\s*\[\s*{re.escape(table)}\s*\]\s*(#.*)?", 0, len(lines))
    if header is None:
        before = f"{source.rstrip(chr(10))}\n\n" if source.strip() else ""
        lines = f"{before}[{table}]\n{statement}\n".split("\n")
    else:
        following = _find(lines, r"\s*\[.*", header + 1, len(lines))
        row = _find(lines, rf"\s*{re.escape(name)}\s*=.*", header + 1, following or len(lines))
        if row is None:
            lines.insert(header + 1, statement)
        else:
            lines[row] = statement + _comment(lines[row])
    changed = "\n".join(lines)
    if tomllib.loads(changed) != expected:
        raise ValueError(f"[{table}] {name} is written in a form that only an editor can change")
    return changed


def _find(lines: list[str], pattern: str, start: int, end: int) -> int | None:
    return next((row for row in range(start, end) if re.fullmatch(pattern, lines[row])), None)


def _comment(line: str) -> str:
    """The comment at the end of a statement, with the spaces before it."""
    import tomllib

    for mark in re.finditer(r"\s*#", line):
        try:
            tomllib.loads(line[: mark.start()])
        except ValueError:
            continue  # within a text
        return line[mark.start() :]
    return ""
