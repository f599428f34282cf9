"""Files named in the prompt as `@path` or `@path:first-last`: found while typing, then read.

A path with spaces is quoted: `@"path"`.
"""

import re
from pathlib import Path
from typing import NamedTuple

from gptterm.errors import UsageError
from gptterm.format import byte_size, escaped
from gptterm.paths import user_path
from gptterm.regular_files import read_regular
from gptterm.tui.state.file_paths import list_paths

LARGEST_FILE = 1 << 20
"""Bytes: more than any context holds."""

_WORD = re.compile(r"""(?:^|(?<=\s))@("[^"]*"?\S*|[^\s"]\S*|)$""")
_RANGE = re.compile(r"(.+):([0-9]{1,7})(?:-([0-9]{0,7}))?")


class Mention(NamedTuple):
    """A row of the list for what is typed after the @."""

    typed: str
    """The word, once it is taken, without its @."""
    name: str
    about: str
    is_folder: bool = False


class FileText(NamedTuple):
    """A file as it stands in the prompt."""

    name: str
    """The file's, with the range of its lines."""
    text: str


def word_before(text: str) -> str | None:
    """Return what follows the @ of the word at the end of a text; None if there is none."""
    found = _WORD.search(text)
    return found[1] if found else None


def find_mentions(typed: str) -> list[Mention]:
    """Return the files and folders that a word may become, or the lines of one file."""
    path = _unquoted(typed)
    if (found := _RANGE.fullmatch(path)) and user_path(found[1]).is_file():
        return [Mention(typed, Path(found[1]).name, _lines(found[2], found[3]))]
    return [
        Mention(
            _quoted(entry.path),
            entry.name,
            "folder" if entry.is_folder else f"{byte_size(entry.size)} · :10-20 for a range",
            entry.is_folder,
        )
        for entry in list_paths(path)
    ]


def _unquoted(typed: str) -> str:
    return typed.replace('"', "", 2) if typed.startswith('"') else typed


def _quoted(path: str) -> str:
    """Quote a path with spaces; the quotes of a folder stay open for what is in it."""
    if not re.search(r"\s", path) or '"' in path:
        return path
    return f'"{path}' if path.endswith("/") else f'"{path}"'


def _lines(first: str, last: str | None) -> str:
    if last is None:
        return f"line {first}"
    return f"lines {first} to {last}" if last else f"from line {first} on"


def read_mention(typed: str) -> FileText:
    """Read a file, or a range of its lines, as a block for the prompt.

    Raises:
        UsageError: it cannot be read, is too large or no text, or has no such lines.
    """
    path, wanted = _unquoted(typed), None
    if (found := _RANGE.fullmatch(path)) and not user_path(path).exists():
        path, wanted = found[1], (found[2], found[3])
    try:
        text = read_regular(user_path(path), LARGEST_FILE).decode()
    except UnicodeDecodeError:
        raise UsageError(f"{escaped(path)} is no text in UTF-8") from None
    except OSError as error:
        raise UsageError(f"{escaped(path)}: {error.strerror or error}") from None
    name = escaped(Path(path).name)
    if wanted is not None:
        lines = text.splitlines(keepends=True)
        first = int(wanted[0])
        last = first if wanted[1] is None else int(wanted[1] or len(lines))
        text = "".join(lines[max(first, 1) - 1 : last])
        if not text:
            raise UsageError(f"{name} has {len(lines):,} lines, not {_lines(*wanted)}")
        name = f"{name}:{first}" if last == first else f"{name}:{first}-{min(last, len(lines))}"
    return FileText(name, _block(name, Path(path).suffix.removeprefix("."), text))


def _block(name: str, language: str, text: str) -> str:
    """Return a text in a fence that it cannot end."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    end = "" if text.endswith("\n") else "\n"
    return f"{name}:\n{fence}{language}\n{text}{end}{fence}"
