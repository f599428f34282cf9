"""Paths of gptterm's files: under `GPTTERM_HOME`, else in the platform's folders.

Nothing is created here, since reading settings must work on a read-only disk.
"""

import os
from pathlib import Path

from gptterm.environment import variable

MOST_CHARACTERS = 1 << 16
"""Of a line that may be several paths: a megabyte takes a second and more to be taken apart."""


def user_path(typed: str) -> Path:
    """Expand `~` in a path that a user has typed, if there is such a home."""
    # os.path.expanduser, since Path.expanduser raises if there is no home.
    return Path(os.path.expanduser(typed))


def dropped_paths(typed: str) -> list[Path]:
    """Parse paths typed by a user, or typed by a terminal for files dropped on it.

    Terminals quote such paths, escape them with backslashes or write file:// URLs, with spaces
    between several. If the whole line is an existing path, it is that path; so is one that is too
    long to be taken apart.
    """
    import shlex

    typed = typed.strip()
    path = user_path(typed)
    if len(typed) > MOST_CHARACTERS or os.path.lexists(path):
        return [path]
    try:
        words = shlex.split(typed)
    except ValueError:  # an apostrophe in its name
        words = [typed]
    found = [_path_of_url(word) or user_path(word) for word in words]
    if not found or (len(found) > 1 and not all(map(os.path.lexists, found))):
        return [path]  # a missing file with spaces in its name
    return found


def _path_of_url(url: str) -> Path | None:
    """Return the path of a file:// URL; None for other text."""
    from urllib.parse import unquote

    if not url.lower().startswith("file://"):
        return None
    _, slash, name = url[len("file://") :].partition("/")
    return Path(slash + unquote(name))


def home() -> Path | None:
    """The absolute path in `GPTTERM_HOME`; None if it is not set."""
    named = variable("GPTTERM_HOME")
    return Path(os.path.abspath(user_path(named))) if named else None


def _folder(platform: str) -> Path:
    """`GPTTERM_HOME`, or one of platformdirs' folders: `config`, `data`, `state` or `cache`."""
    folder = home()
    if folder is None:
        import platformdirs

        place = getattr(platformdirs, f"user_{platform}_path")
        folder = place("gptterm", appauthor=False)
    return folder


def config_file() -> Path:
    """`config.toml`."""
    return _folder("config") / "config.toml"


def data_directory() -> Path:
    """The history's folder."""
    return _folder("data")


def history_file() -> Path:
    """`history.db`."""
    return data_directory() / "history.db"


def cache_directory() -> Path:
    """The folder of files that can be created again. Models are in the Hugging Face cache."""
    folder = home()
    return _folder("cache") if folder is None else folder / "cache"


def engine_log() -> Path:
    """The log of engine processes."""
    return _folder("state") / "engine.log"


def tui_log() -> Path:
    """The log of the TUI, whose stderr is the screen."""
    return _folder("state") / "tui.log"
