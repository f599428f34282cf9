"""Edits of config.toml that keep its comments and its order."""

import os
import re
from pathlib import Path

from gptterm.config.file import parse_config
from gptterm.errors import UsageError
from gptterm.own_files import make_folder, write_own
from gptterm.regular_files import read_regular
from gptterm.terminal import one_line

_MOST_BYTES = 1 << 20


def save_value(path: Path, table: str, name: str, value: object) -> None:
    """Set a value in the file, which is created where it is missing.

    A file that is a link stays one: what it points to is written. What gptterm would not start
    with is not written.

    Args:
        path: config.toml.
        table: The table that has the setting; empty for none.
        name: The setting.
        value: A valid value; None: the statement is removed.

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
        changed = with_value(source, table, name, value)
        parse_config(path, changed)
        make_folder(target.parent)
        write_own(target, changed.encode(), overwrite=True)
    except ValueError as error:
        raise UsageError(f"cannot edit {one_line(str(path))}: {error}") from None
    except OSError as error:
        raise UsageError(f"cannot write {one_line(str(path))}: {error.strerror}") from None


def with_value(source: str, table: str, name: str, value: object) -> str:
    """Return TOML with a value in a table, or without it for None, and nothing else changed.

    Raises:
        ValueError: It is no TOML, or its form does not allow that.
    """
    import tomllib

    expected = tomllib.loads(source)
    within = expected.setdefault(table, {}) if table else expected
    if not isinstance(within, dict):
        raise ValueError(f"{table} is no table")
    if value is not None:
        within[name] = list(value) if isinstance(value, tuple) else value
    elif within.pop(name, None) is None:
        return source
    ending = "\r\n" if "\r\n" in source else "\n"
    lines = source.replace("\r\n", "\n").split("\n")
    changed = ending.join(_edited(lines, table, name, value))
    if tomllib.loads(changed) != expected:
        where = f"[{table}] {name}" if table else name
        raise ValueError(f"{where} is written in a form that only an editor can change")
    return changed


def to_toml(value: object) -> str:
    """Format a setting's value as TOML."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            # Not needed for the first frame.
            import json

            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case tuple() | list():
            return f"[{', '.join(map(to_toml, value))}]"
        case _:
            return str(value)


def _edited(lines: list[str], table: str, name: str, value: object) -> list[str]:
    """Return the lines of the file with the statement set, replaced or removed."""
    statement = f"{name} = {to_toml(value)}"
    end = len(lines)
    header = _find(lines, rf"\s*\[\s*{re.escape(table)}\s*\]\s*(#.*)?", 0, end) if table else -1
    if header is None:
        while lines and not lines[-1].strip():
            lines.pop()
        return [*lines, *([""] if lines else []), f"[{table}]", statement, ""]
    begin = header + 1
    following = _find(lines, r"\s*\[.*", begin, end)
    section_end = end if following is None else following
    row = _find(lines, rf"\s*{re.escape(name)}\s*=.*", begin, section_end)
    if row is not None:
        after = _statement_end(lines, row, section_end)
        new = [] if value is None else [statement + _comment(lines[after - 1])]
        return [*lines[:row], *new, *lines[after:]]
    described = _find(lines, rf"\s*#\s*{re.escape(name)}\s*=.*", begin, section_end)
    if described is not None:
        return [*lines[: described + 1], statement, *lines[described + 1 :]]
    if table:
        return [*lines[:begin], statement, *lines[begin:]]
    # After the statements, before the comment that may belong to the first table.
    at = max((n + 1 for n in range(section_end) if _is_statement(lines[n])), default=0)
    gap = [""] if at == 0 and any(line.strip() for line in lines) else []
    return [*lines[:at], statement, *gap, *lines[at:]]


def _find(lines: list[str], pattern: str, start: int, end: int) -> int | None:
    return next((row for row in range(start, end) if re.fullmatch(pattern, lines[row])), None)


def _is_statement(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _statement_end(lines: list[str], row: int, end: int) -> int:
    """The line after a statement, which may take several."""
    import tomllib

    for after in range(row + 1, end + 1):
        try:
            tomllib.loads("\n".join(lines[row:after]))
        except ValueError:
            continue
        return after
    return row + 1


def _comment(line: str) -> str:
    """The comment at the end of a statement's last line, with the spaces before it."""
    import tomllib

    for mark in re.finditer(r"\s*#", line):
        before = line[: mark.start()]
        try:
            tomllib.loads(before if "=" in before else f"a = [{before.strip().rstrip(']')}]")
        except ValueError:
            continue  # within a text
        return line[mark.start() :]
    return ""
