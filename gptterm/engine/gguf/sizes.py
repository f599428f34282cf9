"""Sizes in a GGUF file's metadata, held against its tensors before a model is built from them."""

import re

from gptterm.engine.gguf.reader import GgufFile
from gptterm.errors import ModelError

_BLOCK = re.compile(r"blk\.(\d{1,9})\.")
_AT_MOST = {
    "attention.head_count": 1,
    "attention.head_count_kv": 1,
    "attention.key_length": 1,
    "attention.value_length": 1,
    "expert_count": 1,
    "vocab_size": 1,
    "feed_forward_length": 16,
    "expert_feed_forward_length": 16,
}
"""Sizes by key, each at most so many times the largest dimension: a mixture of experts has a
length that none of its tensors has."""


def check_sizes(file: GgufFile) -> None:
    """Check that the tensors can be those of the model that the metadata describes.

    Raises:
        ModelError: they cannot.
    """
    if not file.tensors:
        raise ModelError(f"{file.path} holds a vocabulary and no weights; fetch the whole model")
    architecture = file.text("general.architecture") or ""
    blocks = 1 + max((int(i[1]) for i in map(_BLOCK.match, file.tensors) if i), default=-1)
    dimensions = {size for tensor in file.tensors.values() for size in tensor.shape}
    for value in _values(file, f"{architecture}.block_count"):
        if not 0 <= value <= blocks:
            raise _mismatch(file, "block_count", value, f"{blocks} blocks")
    for value in _values(file, f"{architecture}.embedding_length"):
        if value not in dimensions:
            raise _mismatch(file, "embedding_length", value, "other lengths")
    for key, times in _AT_MOST.items():
        for value in _values(file, f"{architecture}.{key}"):
            if not 0 <= value <= times * max(dimensions):
                raise _mismatch(file, key, value, f"at most {max(dimensions):,} rows")


def _values(file: GgufFile, key: str) -> list[float]:
    """A number of the metadata, or one for each block."""
    number = file.number(key)
    return file.numbers(key) if number is None else [number]


def _mismatch(file: GgufFile, key: str, value: float, held: str) -> ModelError:
    return ModelError(f"{file.path} has {key} {value:g}, and tensors of {held}; fetch it again")
