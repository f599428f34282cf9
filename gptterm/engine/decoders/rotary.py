"""Rotary embedding (Su et al., 2021): its settings in config.json, and the frequencies they mean.

Frequencies are computed once a weight file has shown that heads are of the size that config.json
says: what a config.json asks for is not believed before.
"""

import math
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from gptterm.engine.decoders.config_values import VariantError, count, flag, number, shown

_DEFAULT_THETA = 10_000.0

Scaling = Callable[[list[float]], list[float]]
"""Of frequencies, for texts longer than those of the pre-training."""


class Rotary(msgspec.Struct, frozen=True, kw_only=True):
    """Rotary embedding of some of a head's numbers.

    Attributes:
        theta: the base; the slowest pair turns by about 1/theta radians a position.
        share: of a head's numbers, from its first on, that are rotated.
        magnitude: by which rotated queries and keys are multiplied.
        neighbours: whether numbers 2i and 2i + 1 are a pair, in place of i and i + half.
        reach: longest text that the frequencies are for, in tokens; None: any.
        beyond: the rotary embedding of longer texts, from their first token on; None: not known.
    """

    theta: float
    share: float = 1.0
    scaling: Scaling | None = None
    magnitude: float = 1.0
    neighbours: bool = False
    reach: int | None = None
    beyond: "Rotary | None" = None

    def dims(self, head_dim: int) -> int:
        """How many of a head's numbers are rotated."""
        return int(head_dim * self.share)

    def frequencies(self, head_dim: int) -> list[float]:
        """Radians a position, of each of dims / 2 pairs."""
        dims = self.dims(head_dim)
        plain = [self.theta ** (-i / dims) for i in range(0, dims, 2)]
        return plain if self.scaling is None else self.scaling(plain)


class FactorScaling(msgspec.Struct, frozen=True):
    """Each frequency is divided by a factor of its own.

    Attributes:
        factors: (dims / 2,).
    """

    factors: tuple[float, ...]

    def __call__(self, frequencies: list[float]) -> list[float]:
        return [x / factor for x, factor in zip(frequencies, self.factors, strict=True)]


class LinearScaling(msgspec.Struct, frozen=True):
    """Position interpolation (Chen et al., 2023)."""

    factor: float

    def __call__(self, frequencies: list[float]) -> list[float]:
        return [x / self.factor for x in frequencies]


class Llama3Scaling(msgspec.Struct, frozen=True):
    """Llama 3.1's: slow pairs are slowed further, quick ones are not, with a ramp between.

    Attributes:
        slow, quick: turns within the context of the pre-training, below which a pair counts as
            slow, and above which as quick.
        context: of the pre-training, in tokens.
    """

    factor: float
    slow: float
    quick: float
    context: int

    def __call__(self, frequencies: list[float]) -> list[float]:
        turns = (self.context * x / (2 * math.pi) for x in frequencies)
        kept = (_bounded((t - self.slow) / (self.quick - self.slow)) for t in turns)
        return [(1 - k) * x / self.factor + k * x for x, k in zip(frequencies, kept, strict=True)]


class YarnScaling(msgspec.Struct, frozen=True):
    """YaRN (Peng et al., 2023): as Llama 3's, with the ramp over the pairs' numbers.

    Attributes:
        theta: the rotary embedding's.
        slow, quick: as `Llama3Scaling`'s.
        rounded: whether the ramp begins and ends at whole numbers.
        context: of the pre-training, in tokens.
    """

    theta: float
    factor: float
    slow: float
    quick: float
    rounded: bool
    context: int

    def __call__(self, frequencies: list[float]) -> list[float]:
        dims = 2 * len(frequencies)

        def pair(turns: float) -> float:
            """The number of the pair that makes so many turns within the context."""
            return (
                dims * math.log(self.context / (turns * 2 * math.pi)) / (2 * math.log(self.theta))
            )

        first, last = pair(self.quick), pair(self.slow)
        if self.rounded:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, dims - 1)
        if first == last:
            last += 0.001
        kept = (1 - _bounded((i - first) / (last - first)) for i in range(dims // 2))
        return [(1 - k) * x / self.factor + k * x for x, k in zip(frequencies, kept, strict=True)]


def parse_rotary(
    config: dict[str, Any],
    context_length: int,
    head_dim: int,
    *,
    theta: float = _DEFAULT_THETA,
    share: float | None = None,
) -> Rotary:
    """Parse `rope_parameters`, or `rope_scaling` and `rope_theta` of older files.

    Args:
        theta, share: an architecture's default; of None, all numbers of a head are rotated, and it
            cannot be told otherwise.

    Raises:
        ModelError: a value is out of range or of another type.
        VariantError: a type, or a form, that is not computed here.
    """
    # In transformers' order: the old name wins, and a theta within wins over one beside.
    settings = config.get("rope_scaling") or config.get("rope_parameters") or {}
    if not isinstance(settings, dict) or any(isinstance(x, dict) for x in settings.values()):
        raise VariantError("rope_parameters of an unknown form")
    return _rotary(settings, config, context_length, head_dim, theta, share)


def _rotary(
    settings: dict[str, Any],
    config: dict[str, Any],
    context_length: int,
    head_dim: int,
    theta: float,
    share: float | None,
) -> Rotary:
    """Parse one set of settings; arguments as `parse_rotary`'s."""
    beside = number(config, "rope_theta", theta, above=1)
    theta = number(settings, "rope_theta", beside, above=1)
    partial = "partial_rotary_factor"
    if share is None and (partial in config or partial in settings):
        raise VariantError(f"{partial} where the architecture has none")
    if share is not None:
        share = number(settings, partial, number(config, partial, share))
    rotary = Rotary(theta=theta, share=1.0 if share is None else share)
    dims = rotary.dims(head_dim)
    if dims % 2 or not 0 < dims <= head_dim:
        raise VariantError(f"rotary embedding of {dims} of a head's {head_dim} numbers")
    return _scaled(rotary, settings, config, context_length, head_dim)


def _scaled(
    rotary: Rotary,
    settings: dict[str, Any],
    config: dict[str, Any],
    context_length: int,
    head_dim: int,
) -> Rotary:
    kind = settings.get("rope_type", settings.get("type", "default"))
    keys, context = set(settings), "original_max_position_embeddings"
    if context in config:
        settings = settings | {context: config[context]}
    match kind:
        case "default":
            return rotary
        case "linear" if "factor" in keys:
            scaling: Scaling = LinearScaling(number(settings, "factor", 1))
        case "dynamic" if "factor" in keys:
            # It scales beyond the context only, where nothing is computed.
            return rotary
        case "llama3" if {"factor", "low_freq_factor", "high_freq_factor"} <= keys:
            scaling = llama3 = Llama3Scaling(
                factor=number(settings, "factor", 1),
                slow=number(settings, "low_freq_factor", 1),
                quick=number(settings, "high_freq_factor", 4),
                context=count(settings, context, context_length),
            )
            if llama3.quick <= llama3.slow:
                raise VariantError("high_freq_factor below low_freq_factor")
        case "yarn" if "factor" in keys:
            return _yarn(rotary, settings, count(settings, context, context_length), context_length)
        case "longrope" if "short_factor" in keys:
            context_before = count(settings, context, context_length)
            return _longrope(rotary, settings, context_before, context_length, head_dim)
        case _:
            raise VariantError(f"rotary embedding of type {shown(kind)}")
    return replace(rotary, scaling=scaling)


def _yarn(rotary: Rotary, settings: dict[str, Any], context: int, longest: int) -> Rotary:
    given = {name: value for name, value in settings.items() if value is not None}
    factor = number(given, "factor", longest / context)
    scaling = YarnScaling(
        theta=rotary.theta,
        factor=factor,
        slow=number(given, "beta_slow", 1),
        quick=number(given, "beta_fast", 32),
        rounded=flag(given, "truncate", True),
        context=context,
    )
    if "attention_factor" in given:
        magnitude = number(given, "attention_factor", 1)
    elif {"mscale", "mscale_all_dim"} <= set(given):
        scales = (number(given, name, 1) for name in ("mscale", "mscale_all_dim"))
        above, below = (_yarn_magnitude(factor, scale) for scale in scales)
        magnitude = above / below
    else:
        magnitude = _yarn_magnitude(factor, 1)
    return replace(rotary, scaling=scaling, magnitude=magnitude)


def _longrope(
    rotary: Rotary, settings: dict[str, Any], context: int, longest: int, head_dim: int
) -> Rotary:
    """LongRoPE (Ding et al., 2024): beyond the context of the pre-training every pair has another
    factor, from the text's first token on."""
    given = {name: value for name, value in settings.items() if value is not None}
    factor = number(given, "factor", longest / context)
    magnitude = math.sqrt(1 + math.log(factor) / math.log(context)) if factor > 1 else 1.0
    rotary = replace(rotary, magnitude=number(given, "attention_factor", magnitude))
    pairs = rotary.dims(head_dim) // 2
    beyond = None
    if "long_factor" in given:
        beyond = replace(rotary, scaling=_factors(settings, "long_factor", pairs))
    short = _factors(settings, "short_factor", pairs)
    return replace(rotary, scaling=short, reach=context, beyond=beyond)


def _factors(settings: dict[str, Any], name: str, pairs: int) -> FactorScaling:
    factors = settings[name]
    if not isinstance(factors, list) or len(factors) != pairs:
        raise VariantError(f"{name} of another length than the rotary embedding's")
    return FactorScaling(tuple(number({name: each}, name, 1) for each in factors))


def _yarn_magnitude(factor: float, scale: float) -> float:
    return 0.1 * scale * math.log(factor) + 1 if factor > 1 else 1.0


def _bounded(share: float) -> float:
    return min(max(share, 0.0), 1.0)
