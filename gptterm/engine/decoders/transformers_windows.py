"""Sliding windows of the transformers library: what its caches drop, which the model must not see.

Its cache keeps as many tokens as config.json names in `sliding_window`, whether or not the model's
attention has that window (Moshi's has none). A few tokens show the difference once the window is
made shorter than they are.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gptterm.engine.decoders.transformers_state import Feeding

_FIELDS = ("sliding_window", "attention_chunk_size")
"""Of config.json, from which the library's cache has the number of tokens to keep."""


def kept_tokens(feeding: Feeding) -> int | None:
    """Fewest tokens that a layer of the state keeps; None if all layers keep all."""
    layers = getattr(feeding.new_past().value, "layers", ())
    windows = [getattr(layer, "sliding_window", None) for layer in layers]
    return min((window for window in windows if isinstance(window, int)), default=None)


@contextmanager
def short_windows(model: Any, size: int) -> Iterator[None]:
    """Reduce the windows of a model, and of the caches that are made for it, to `size` tokens."""
    owners = [model.config, model.config.get_text_config()]
    for module in model.modules():
        owners += [module, getattr(module, "config", None)]
    changed: list[tuple[Any, str, int]] = []
    for owner in {id(owner): owner for owner in owners if owner is not None}.values():
        for name in _FIELDS:
            window = vars(owner).get(name)
            if type(window) is int and window > size:
                changed.append((owner, name, window))
    try:
        for owner, name, _ in changed:
            setattr(owner, name, size)
        yield
    finally:
        for owner, name, window in changed:
            setattr(owner, name, window)
