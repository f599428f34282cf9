"""Where gptterm keeps its files: all under `GPTTERM_HOME`, else where the platform wants them.

Nothing is created here: reading settings must work on a disk that cannot be written.
"""

import os
from pathlib import Path


def user_path(typed: str) -> Path:
    """A path that a user has given, its `~` replaced where there is such a home."""
    # expanduser of os.path, not of Path, which raises where there is no home at all.
    return Path(os.path.expanduser(typed))


def dropped_paths(typed: str) -> list[Path]:
    """The paths in a line that a user has typed, or that a terminal types for files dropped on it.

    Terminals put such paths in quotes or backslashes, or give them as file:// addresses, several
    of them with spaces between. A line that is the name of a file is that file.
    """
    import shlex

    typed = typed.strip()
    path = user_path(typed)
    if os.path.lexists(path):
        return [path]
    try:
        words = shlex.split(typed)
    except ValueError:  # an apostrophe in its name
        words = [typed]
    found = [_path_of_address(word) or user_path(word) for word in words]
    if not found or (len(found) > 1 and not all(map(os.path.lexists, found))):
        return [path]  # a name with spaces in it, of a file that is not there
    return found


def _path_of_address(address: str) -> Path | None:
    """The path of a file:// address; None: it is none."""
    from urllib.parse import unquote

    if not address.lower().startswith("file://"):
        return None
    _, slash, name = address[len("file://") :].partition("/")
    return Path(slash + unquote(name))


def home() -> Path | None:
    """The folder that `GPTTERM_HOME` names, absolute; None where it is not set."""
    named = os.environ.get("GPTTERM_HOME")
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
    """The folder of files that can be made again. Models are in the Hugging Face cache instead."""
    folder = home()
    return _folder("cache") if folder is None else folder / "cache"


def engine_log() -> Path:
    """The log of engines that run in a process of their own."""
    return _folder("state") / "engine.log"


def tui_log() -> Path:
    """The log of the TUI, whose stderr is the screen."""
    return _folder("state") / "tui.log"
