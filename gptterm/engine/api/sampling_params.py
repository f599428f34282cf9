"""Parameters of the sampler chain."""

import math
from typing import Literal, get_args

import msgspec

from gptterm.engine.api.base import Data, check_range
from gptterm.engine.samplers import ORDERS, SAMPLERS

SamplerOrder = Literal["transformers", "llama"]

MOST_WORD = 200
"""Characters of a word that is banned or biased."""


class SamplingParams(Data, frozen=True, kw_only=True, cache_hash=True):
    """Parameters of the sampler chain: a field for each declared sampler, with its default.

    Raises:
        ValueError: a value is out of range, NaN or infinite; the message names field and range.
    """

    temperature: float = 0.8
    """Divides the logits; 0 is greedy."""
    top_k: int = 40
    """Keep the k largest logits; 0 is off."""
    top_p: float = 0.95
    """Nucleus (Holtzman et al., 2020): keep a token iff the mass above it is < p; 1 is off."""
    min_p: float = 0.0
    """Keep a token iff its probability ≥ min_p × the largest (Nguyen et al., 2024); 0 is off."""
    typical_p: float = 1.0
    """Locally typical sampling (Meister et al., 2023); 1 is off."""
    repetition_penalty: float = 1.0
    """Divides positive, multiplies negative logits of seen tokens (Keskar et al., 2019)."""
    presence_penalty: float = 0.0
    """Subtracted once from the logit of each token of the output so far."""
    frequency_penalty: float = 0.0
    """Subtracted once per occurrence in the output so far."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """(token id, value added to its logit) pairs; -inf bans the token."""
    word_bias: tuple[tuple[str, float], ...] = ()
    """(word, value added to the logit of each token that would complete it) pairs; -inf bans the
    word. See `gptterm.engine.text.word_completions` for what a word is."""
    order: SamplerOrder = "transformers"
    """Order of the steps, named after the library that uses it; see `samplers.ORDERS`."""

    def __post_init__(self) -> None:
        for sampler in SAMPLERS.values():
            check_range(sampler.range, sampler.name, getattr(self, sampler.name))
        for _, bias in self.logit_bias:
            if not bias < math.inf:
                raise ValueError(f"logit_bias must be a number or -inf, not {bias:g}")
        for word, bias in self.word_bias:
            if not 0 < len(word) <= MOST_WORD:
                raise ValueError(f"a word has 1 to {MOST_WORD} characters, not {len(word)}")
            if not bias < math.inf:
                raise ValueError(f"word_bias must be a number or -inf, not {bias:g}")


def _check_declarations() -> None:
    """Hold the written struct against the declarations.

    Raises:
        LookupError: a sampler without a field, a field without a sampler, or another default.
    """
    declared = {sampler.name: sampler.default for sampler in SAMPLERS.values()}
    struct = SamplingParams
    fields = dict(zip(struct.__struct_fields__, struct.__struct_defaults__, strict=True))
    others = declared | {"logit_bias": (), "word_bias": (), "order": get_args(SamplerOrder)[0]}
    if fields != others or get_args(SamplerOrder) != tuple(ORDERS):
        raise LookupError("SamplingParams does not match the declared samplers and orders")


_check_declarations()

NEUTRAL = msgspec.convert({s.name: s.neutral for s in SAMPLERS.values()}, SamplingParams)
"""All samplers neutral: the model's own distribution."""
