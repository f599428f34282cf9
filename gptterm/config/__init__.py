"""Settings: built-in < the model's own < config.toml < environment < options, one frozen object.

The names below are imported when first used, so that `gptterm --help` gets the table of settings
without waiting for the rest.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gptterm.config.paths import cache_directory, config_file, data_directory, history_file
    from gptterm.config.settings import Settings, TuiSettings, load_settings

__all__ = [
    "Settings",
    "TuiSettings",
    "cache_directory",
    "config_file",
    "data_directory",
    "history_file",
    "load_settings",
]

_PATHS = {"cache_directory", "config_file", "data_directory", "history_file"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "paths" if name in _PATHS else "settings"
    return getattr(import_module(f"gptterm.config.{module}"), name)
