"""Completion of a path that is typed."""

import os
from itertools import islice
from typing import NamedTuple

MOST_READ = 5_000
"""Entries of a folder that are looked at."""
MOST_LISTED = 200


class FoundPath(NamedTuple):
    """An entry of a folder."""

    path: str
    """As it is typed, with a slash at the end of a folder."""
    size: int
    """Bytes; 0 for a folder."""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path[self.path.rstrip("/").rfind("/") + 1 :]

    @property
    def is_folder(self) -> bool:
        """Whether more can be typed after it."""
        return self.path.endswith("/")


def list_paths(typed: str, suffixes: tuple[str, ...] = ()) -> list[FoundPath]:
    """Return the entries of the folder that is typed whose names begin like the rest of it.

    Hidden ones only where a dot is typed; folders first. Empty where the folder cannot be read.

    Args:
        typed: A path, maybe with `~`, relative to the working directory.
        suffixes: Endings that files must have; none for all files.
    """
    folder, slash, begun = typed.rpartition("/")
    found = []
    try:
        with os.scandir(os.path.expanduser(folder + slash) or ".") as entries:
            for entry in islice(entries, MOST_READ):
                if not _fits(entry.name, begun):
                    continue
                path = f"{folder}{slash}{entry.name}"
                if entry.is_dir():
                    found.append(FoundPath(f"{path}/", 0))
                elif entry.is_file() and path.endswith(suffixes or ("",)):
                    found.append(FoundPath(path, entry.stat().st_size))
    except (OSError, ValueError):  # a null byte
        return []
    found.sort(key=lambda entry: (not entry.is_folder, entry.path.lower()))
    return found[:MOST_LISTED]


def _fits(name: str, begun: str) -> bool:
    if name.startswith(".") and not begun.startswith("."):
        return False
    return name.lower().startswith(begun.lower()) and name.isprintable()


def is_path(typed: str) -> bool:
    """Whether a text begins as a path does."""
    return typed.startswith(("/", "./", "../", "~/"))
