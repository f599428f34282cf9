"""Names, the cache, downloads and the bundled model: from a name to files that can be loaded.

Nothing here imports torch or transformers, nor runs a model's code.
"""

from gptterm.models.cache import CachedModel, cache_folder, cached_models
from gptterm.models.metadata import Facts, facts, generation_defaults
from gptterm.models.names import ALIASES, BUNDLED
from gptterm.models.resolver import (
    Outlook,
    at_hand,
    bundled,
    downloaded,
    outlook,
    pull,
    remove,
    resolve,
)

__all__ = [
    "ALIASES",
    "BUNDLED",
    "CachedModel",
    "Facts",
    "Outlook",
    "at_hand",
    "bundled",
    "cache_folder",
    "cached_models",
    "downloaded",
    "facts",
    "generation_defaults",
    "outlook",
    "pull",
    "remove",
    "resolve",
]
