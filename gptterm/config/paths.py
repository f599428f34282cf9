"""Where gptterm keeps its files: all under `GPTTERM_HOME`, else where the platform wants them.

Nothing is created here: reading settings must work on a disk that cannot be written.
"""

import os
from pathlib import Path


def user_path(typed: str) -> Path:
    """A path that a user has given, its `~` replaced where there is such a home."""
    # expanduser of os.path, not of Path, which raises where there is no home at all.
    return Path(os.path.expanduser(typed))


def _home() -> Path | None:
    home = os.environ.get("GPTTERM_HOME")
    return Path(os.path.abspath(user_path(home))) if home else None


def config_file() -> Path:
    """`config.toml`."""
    home = _home()
    if home is None:
        import platformdirs

        home = Path(platformdirs.user_config_dir("gptterm", appauthor=False))
    return home / "config.toml"


def data_directory() -> Path:
    """Where the history lies."""
    home = _home()
    if home is None:
        import platformdirs

        home = Path(platformdirs.user_data_dir("gptterm", appauthor=False))
    return home


def history_file() -> Path:
    """`history.db`."""
    return data_directory() / "history.db"


def cache_directory() -> Path:
    """What can be made again. Models are not here but in the Hugging Face cache."""
    home = _home()
    if home is not None:
        return home / "cache"
    import platformdirs

    return Path(platformdirs.user_cache_dir("gptterm", appauthor=False))
