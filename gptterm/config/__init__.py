"""Settings: built-in < the model's own < config.toml < environment < options, one frozen object.

The names below are imported on first use: `gptterm --help` needs the definitions only.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gptterm.config.settings import Settings, TuiSettings, load_settings

__all__ = ["Settings", "TuiSettings", "load_settings"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("gptterm.config.settings"), name)
