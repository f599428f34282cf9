"""Edits of config.toml that keep its comments and its order."""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from gptterm.config.file import parse_config
from gptterm.errors import UsageError
from gptterm.own_files import make_folder, write_own
from gptterm.regular_files import read_regular
from gptterm.terminal import one_line

_MOST_BYTES = 1 << 20
Table = tuple[str, ...]
"""The keys that lead to a table; empty for the settings outside of all tables."""


def save_value(path: Path, table: Table, name: str, value: object) -> None:
    """Set a value in the file, which is created where it is missing.

    A file that is a link stays one: what it points to is written. What gptterm would not start
    with is not written.

    Args:
        path: config.toml.
        table: The table that has the setting.
        name: The setting.
        value: A valid value; None: the statement is removed.

    Raises:
        UsageError: The file cannot be read or written, is no TOML, or has the value in a form that
            cannot be edited.
    """
    _save(path, lambda source: with_value(source, table, name, value))


def remove_table(path: Path, table: Table) -> None:
    """Remove a table and those within it from the file.

    Raises:
        UsageError: As for `save_value`.
    """
    _save(path, lambda source: without_table(source, table))


def read_table(path: Path, table: Table) -> dict[str, object]:
    """Read a table of the file as it is there; empty where there is none.

    Raises:
        UsageError: The file cannot be read, or is no TOML.
    """
    import tomllib

    try:
        found = tomllib.loads(_read(path))
    except ValueError as error:
        raise UsageError(f"cannot read {one_line(str(path))}: {error}") from None
    return _within(found, table)


def _read(path: Path) -> str:
    try:
        return read_regular(Path(os.path.realpath(path)), _MOST_BYTES).decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {one_line(str(path))}: {error}") from None


def _save(path: Path, change: Callable[[str], str]) -> None:
    """Write the file as `change` makes it of its text, if gptterm would start with that."""
    target = Path(os.path.realpath(path))
    source = _read(path)
    try:
        changed = change(source)
        parse_config(path, changed)
        make_folder(target.parent)
        write_own(target, changed.encode(), overwrite=True)
    except ValueError as error:
        raise UsageError(f"cannot edit {one_line(str(path))}: {error}") from None
    except OSError as error:
        raise UsageError(f"cannot write {one_line(str(path))}: {error.strerror}") from None


def with_value(source: str, table: Table, name: str, value: object) -> str:
    """Return TOML with a value in a table, or without it for None, and nothing else changed.

    Raises:
        ValueError: It is no TOML, or its form does not allow that.
    """
    import tomllib

    expected = tomllib.loads(source)
    within = _within(expected, table)
    if value is not None:
        within[name] = list(value) if isinstance(value, tuple) else value
    elif within.pop(name, None) is None:
        return source
    changed = _by_line(source, lambda lines: _edited(lines, table, name, value))
    if tomllib.loads(changed) != expected:
        where = f"[{_spelled(table)}] {name}" if table else name
        raise ValueError(f"{where} is written in a form that only an editor can change")
    return changed


def without_table(source: str, table: Table) -> str:
    """Return TOML without a table, with the comments within it gone and nothing else changed.

    Raises:
        ValueError: It is no TOML, or its form does not allow that.
    """
    import tomllib

    expected = tomllib.loads(source)
    if _within(expected, table[:-1]).pop(table[-1], None) is None:
        return source
    changed = _by_line(source, lambda lines: _without(lines, table))
    found = tomllib.loads(changed)
    # A table that has nothing left in it may be gone as well.
    if any(found.get(key, {}) != expected.get(key, {}) for key in {**found, **expected}):
        raise ValueError(f"[{_spelled(table)}] is written in a form that only an editor can change")
    return changed


def _within(data: dict[str, object], table: Table) -> dict[str, object]:
    """A table, which is made where it is missing."""
    for depth, key in enumerate(table, 1):
        within = data.setdefault(key, {})
        if not isinstance(within, dict):
            raise ValueError(f"{_spelled(table[:depth])} is no table")
        data = within
    return data


def _by_line(source: str, change: Callable[[list[str]], list[str]]) -> str:
    ending = "\r\n" if "\r\n" in source else "\n"
    return ending.join(change(source.replace("\r\n", "\n").split("\n")))


def _spelled(keys: Iterable[str]) -> str:
    """Keys as they are written: `tui.keys`, `"chat.model"`."""
    return ".".join(key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else to_toml(key) for key in keys)


def _pattern(keys: Iterable[str]) -> str:
    """Expression for keys in any of their spellings."""
    spellings = (f"(?:{'|'.join(map(re.escape, (k, to_toml(k), repr(k))))})" for k in keys)
    return r"\s*\.\s*".join(spellings)


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


def _header(lines: list[str], table: Table) -> int | None:
    """The line of a table's header."""
    return _find(lines, rf"\s*\[\s*{_pattern(table)}\s*\]\s*(#.*)?", 0, len(lines))


def _without(lines: list[str], table: Table) -> list[str]:
    """Return the lines without a table, and those within it."""
    while (begin := _header(lines, table)) is not None or (
        begin := _inner(lines, table)
    ) is not None:
        following = _find(lines, r"\s*\[.*", begin + 1, len(lines))
        end = len(lines) if following is None else following
        # A comment right above the next table is about that.
        while following is not None and lines[end - 1].lstrip().startswith("#"):
            end -= 1
        lines = [*lines[:begin], *lines[end:]]
    return lines


def _inner(lines: list[str], table: Table) -> int | None:
    """The line of the first header of a table within this one."""
    return _find(lines, rf"\s*\[\s*{_pattern(table)}\s*\..*", 0, len(lines))


def _edited(lines: list[str], table: Table, name: str, value: object) -> list[str]:
    """Return the lines of the file with the statement set, replaced or removed."""
    statement = f"{_spelled([name])} = {to_toml(value)}"
    end = len(lines)
    header = _header(lines, table) if table else -1
    if header is None:
        while lines and not lines[-1].strip():
            lines.pop()
        return [*lines, *([""] if lines else []), f"[{_spelled(table)}]", statement, ""]
    begin = header + 1
    following = _find(lines, r"\s*\[.*", begin, end)
    section_end = end if following is None else following
    row = _find(lines, rf"\s*{_pattern([name])}\s*=.*", begin, section_end)
    if row is not None:
        after = _statement_end(lines, row, section_end)
        new = [] if value is None else [statement + _comment(lines[after - 1])]
        return [*lines[:row], *new, *lines[after:]]
    described = _find(lines, rf"\s*#\s*{_pattern([name])}\s*=.*", begin, section_end)
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
