"""Names, the cache, downloads and the bundled model: from a name to files that can be loaded.

Nothing here imports torch or transformers, nor runs a model's code.
"""

from gptterm.models.cache import CachedModel, cache_folder, cached_models
from gptterm.models.generation import generation_defaults
from gptterm.models.names import ALIASES, BUNDLED
from gptterm.models.resolver import Outlook, bundled, outlook, pull, resolve

__all__ = [
    "ALIASES",
    "BUNDLED",
    "CachedModel",
    "Outlook",
    "bundled",
    "cache_folder",
    "cached_models",
    "generation_defaults",
    "outlook",
    "pull",
    "resolve",
]
