"""Tokens of models that fill in the middle: what stands before each text of such a prompt."""

from collections.abc import Callable
from typing import NamedTuple


class InfillTokens(NamedTuple):
    """Ids of the tokens before each part."""

    prefix: int
    suffix: int
    middle: int
    ends: frozenset[int]
    """Any of these ends the middle."""


_NAMES = (
    ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder, Granite
    ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen2.5-Coder, CodeGemma
    ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # SantaCoder
    ("▁<PRE>", "▁<SUF>", "▁<MID>"),  # CodeLlama
    ("<PRE>", "<SUF>", "<MID>"),
    ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),  # DeepSeek-Coder
)  # fmt: skip
"""Names of the tokens before the text before, the text behind, and the middle."""
_ENDS = (
    "▁<EOT>", "<EOT>", "<fim_pad>", "<|fim_pad|>", "<|file_sep|>", "<|file_separator|>",
    "<file_sep>", "<|endoftext|>",
)  # fmt: skip


def infill_tokens(token_id: Callable[[str], int | None]) -> InfillTokens | None:
    """Return a vocabulary's tokens for it; None if it has none.

    Args:
        token_id: returns the id of a token by its name.
    """
    for names in _NAMES:
        ids = [token_id(name) for name in names]
        prefix, suffix, middle = ids
        if prefix is not None and suffix is not None and middle is not None:
            others = (token_id(name) for name in _ENDS)
            ends = {prefix, suffix, middle, *(end for end in others if end is not None)}
            return InfillTokens(prefix, suffix, middle, frozenset(ends))
    return None
