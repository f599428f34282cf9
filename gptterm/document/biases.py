"""Biases of tokens and of words that hold for one document, kept with it; -inf is a ban."""

import math
from collections.abc import Mapping

from msgspec.structs import replace

from gptterm.document.tree import Document
from gptterm.engine.api import ModelInfo


def biases_of(document: Document, info: ModelInfo | None) -> Mapping[int, float]:
    """Return the values that are added to the logits of a model's tokens, by id."""
    kept = {} if info is None else document.settings.biases.get(info.name, {})
    return {id_: -math.inf if value is None else value for id_, value in kept.items()}


def set_bias(document: Document, info: ModelInfo, token_id: int, value: float) -> None:
    """Change the bias of a token; 0 is none."""
    values = {**biases_of(document, info), token_id: value}
    kept = {id_: None if bias == -math.inf else bias for id_, bias in values.items() if bias}
    biases = {**document.settings.biases, info.name: kept}
    document.settings = replace(document.settings, biases=biases)


def words_of(document: Document) -> Mapping[str, float]:
    """Return the values that are added to what completes a word, by the word."""
    kept = document.settings.words
    return {word: -math.inf if value is None else value for word, value in kept.items()}


def set_word(document: Document, word: str, value: float) -> None:
    """Change the bias of a word; 0 is none."""
    words = {**words_of(document), word: value}
    kept = {word: None if bias == -math.inf else bias for word, bias in words.items() if bias}
    document.settings = replace(document.settings, words=kept)
