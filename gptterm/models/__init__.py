"""Find models: names, the cache, downloads, the bundled model.

Nothing here imports torch or transformers, or runs a model's code.
"""

from gptterm.models.cache import CachedModel, cache_folder, cached_models
from gptterm.models.metadata import ModelMetadata, generation_defaults, read_metadata
from gptterm.models.names import ALIASES, BUNDLED
from gptterm.models.offers import OFFERS, Offer, offers
from gptterm.models.resolver import (
    ResolvePreview,
    bundled,
    cached_repositories,
    find_local,
    preview_resolve,
    pull,
    remove,
    resolve,
)

__all__ = [
    "ALIASES",
    "BUNDLED",
    "OFFERS",
    "CachedModel",
    "ModelMetadata",
    "Offer",
    "ResolvePreview",
    "bundled",
    "cache_folder",
    "cached_models",
    "cached_repositories",
    "find_local",
    "generation_defaults",
    "offers",
    "preview_resolve",
    "pull",
    "read_metadata",
    "remove",
    "resolve",
]
