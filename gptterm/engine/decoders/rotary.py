"""Rotary embedding (Su et al., 2021): its settings in config.json, and the frequencies they mean.

Frequencies are computed once a weight file has shown that heads are of the size that config.json
says: what a config.json asks for is not believed before.
"""

import math
from collections.abc import Callable
from typing import Any

import msgspec

from gptterm.engine.decoders.config_values import count, number

_DEFAULT_THETA = 10_000.0


class Rotary(msgspec.Struct, frozen=True, kw_only=True):
    """Rotary embedding of a head's numbers i and i + head_dim / 2.

    Attributes:
        theta: the base; the slowest pair turns by about 1/theta radians a position.
        scaling: of the frequencies, for texts longer than those of the pre-training.
    """

    theta: float
    scaling: Callable[[float], float] | None = None

    def frequencies(self, head_dim: int) -> list[float]:
        """Radians a position, of each of head_dim / 2 pairs."""
        plain = [self.theta ** (-i / head_dim) for i in range(0, head_dim, 2)]
        return plain if self.scaling is None else [*map(self.scaling, plain)]


class FactoredRotary(Rotary, frozen=True, kw_only=True):
    """Rotary embedding whose frequencies are divided by numbers of their own.

    Attributes:
        factors: (head_dim / 2,).
    """

    factors: tuple[float, ...]

    def frequencies(self, head_dim: int) -> list[float]:
        plain = super().frequencies(head_dim)
        return [x / factor for x, factor in zip(plain, self.factors, strict=True)]


class LinearScaling(msgspec.Struct, frozen=True):
    """Position interpolation (Chen et al., 2023)."""

    factor: float

    def __call__(self, frequency: float) -> float:
        return frequency / self.factor


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

    def __call__(self, frequency: float) -> float:
        turns = self.context * frequency / (2 * math.pi)
        share = (turns - self.slow) / (self.quick - self.slow)
        kept = min(max(share, 0.0), 1.0)
        return (1 - kept) * frequency / self.factor + kept * frequency


def parse_rotary(config: dict[str, Any], context_length: int) -> Rotary | None:
    """Parse `rope_parameters`, or `rope_scaling` and `rope_theta` of older files.

    None for a type, or a form, that is not computed here.

    Raises:
        ModelError: a value is out of range or of another type.
    """
    # In transformers' order: the old name wins, and a theta within wins over one beside.
    settings = config.get("rope_scaling") or config.get("rope_parameters") or {}
    if not isinstance(settings, dict) or any(isinstance(x, dict) for x in settings.values()):
        return None
    if "partial_rotary_factor" in config or "partial_rotary_factor" in settings:
        return None
    beside = number(config, "rope_theta", _DEFAULT_THETA, above=1)
    theta = number(settings, "rope_theta", beside, above=1)
    kind = settings.get("rope_type", settings.get("type", "default"))
    match kind:
        case "default":
            return Rotary(theta=theta)
        case "linear" if "factor" in settings:
            return Rotary(theta=theta, scaling=LinearScaling(number(settings, "factor", 1)))
        case "llama3" if {"factor", "low_freq_factor", "high_freq_factor"} <= set(settings):
            context = "original_max_position_embeddings"
            if context in config:
                settings = settings | {context: config[context]}
            scaling = Llama3Scaling(
                factor=number(settings, "factor", 1),
                slow=number(settings, "low_freq_factor", 1),
                quick=number(settings, "high_freq_factor", 4),
                context=count(settings, context, context_length),
            )
            return Rotary(theta=theta, scaling=scaling) if scaling.quick > scaling.slow else None
    return None
