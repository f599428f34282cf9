"""Biases of tokens and of words that hold for one document, kept with it; -inf is a ban."""

import math
from collections.abc import Mapping
from typing import TypeVar

from msgspec.structs import replace

from gptterm.document.tree import Document
from gptterm.engine.api import ModelInfo

K = TypeVar("K", int, str)


def biases_of(document: Document, info: ModelInfo | None) -> Mapping[int, float]:
    """Return the values that are added to the logits of a model's tokens, by id."""
    kept = {} if info is None else document.settings.biases.get(info.name, {})
    return _values(kept)


def set_bias(document: Document, info: ModelInfo, token_id: int, value: float) -> None:
    """Change the bias of a token; 0 is none."""
    kept = _kept({**biases_of(document, info), token_id: value})
    biases = {**document.settings.biases, info.name: kept}
    document.settings = replace(document.settings, biases=biases)


def words_of(document: Document) -> Mapping[str, float]:
    """Return the values that are added to what completes a word, by the word."""
    return _values(document.settings.words)


def set_word(document: Document, word: str, value: float) -> None:
    """Change the bias of a word; 0 is none."""
    words = _kept({**words_of(document), word: value})
    document.settings = replace(document.settings, words=words)


def _values(kept: Mapping[K, float | None]) -> dict[K, float]:
    """Biases as they are kept, with -inf for a ban."""
    return {key: -math.inf if value is None else value for key, value in kept.items()}


def _kept(values: Mapping[K, float]) -> dict[K, float | None]:
    """Biases to be kept in JSON, which has no -inf; none of 0."""
    return {key: None if bias == -math.inf else bias for key, bias in values.items() if bias}
