"""From a GGUF file's header to a native decoder's hyper-parameters and weights."""

import math
from typing import NamedTuple

from msgspec.structs import replace

from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.config_parsers.registry import parse_config
from gptterm.engine.decoders.gguf_weights import GgufWeights
from gptterm.engine.decoders.rotary import FactorScaling, Rotary
from gptterm.engine.gguf.families import (
    LONG_FACTORS,
    ROPE_FACTORS,
    ROPE_TENSORS,
    SHORT_FACTORS,
    config_of,
    family_of,
    missing_key,
    weight_name,
)
from gptterm.engine.gguf.reader import GgufFile
from gptterm.engine.gguf.sizes import check_sizes
from gptterm.errors import ModelError
from gptterm.format import escaped


class GgufModel(NamedTuple):
    """A model that a native decoder runs."""

    model_type: str
    """As in config.json."""
    config: DecoderConfig
    weights: GgufWeights
    for_long_texts: bool
    """Whether its rotary embedding is LongRoPE's for long texts."""


def read_gguf(
    file: GgufFile, context: int | None = None, *, switches: bool = True
) -> GgufModel | str:
    """Parse a file's metadata and map its tensors; or why no native decoder runs it.

    Args:
        context, switches: as `parse_gguf`'s.

    Raises:
        ModelError: the tensors cannot be those of the model that the metadata describes.
    """
    check_sizes(file)
    reason = why_not_native(file)
    if reason:
        return reason
    family, settings = family_of(file), config_of(file)
    assert family is not None
    assert settings is not None
    config = parse_gguf(file, context, switches=switches)
    assert config is not None
    is_longrope = settings.get("rope_scaling", {}).get("rope_type") == "longrope"
    for_long_texts = is_longrope and config.rotary is not None and config.rotary.reach is None
    weights = GgufWeights(file, family)
    weights.check(config)
    config = _with_factors(file, config, weights.rope_factors, for_long_texts)
    return GgufModel(settings["model_type"], config, weights, for_long_texts)


def _with_factors(
    file: GgufFile,
    config: DecoderConfig,
    factors: dict[str, tuple[float, ...]],
    for_long_texts: bool,
) -> DecoderConfig:
    """Take the factors of the rotary embedding from the file's tensors.

    Raises:
        ModelError: they are damaged.
    """
    rotary = config.rotary
    first = LONG_FACTORS if for_long_texts else SHORT_FACTORS
    usual = factors.get(first) or factors.get(ROPE_FACTORS)
    if rotary is None or usual is None:
        return config

    def scaled(rotary: Rotary, factors: tuple[float, ...]) -> Rotary:
        rotated = rotary.dims(config.head_dim)
        if 2 * len(factors) != rotated or not all(0 < factor < math.inf for factor in factors):
            raise ModelError(
                f"{file.path}: the factors of the rotary embedding are damaged, or not for heads"
                f" of which {rotated} numbers are rotated; fetch the model again"
            )
        return replace(rotary, scaling=FactorScaling(factors))

    if rotary.beyond is not None:
        rotary = replace(rotary, beyond=scaled(rotary.beyond, factors[LONG_FACTORS]))
    return replace(config, rotary=scaled(rotary, usual))


def why_not_native(file: GgufFile) -> str:
    """Why the transformers library runs a file; empty where a native decoder does.

    Raises:
        ModelError: a hyper-parameter is out of range or of another type.
    """
    architecture = escaped(file.text("general.architecture") or "none")
    family = family_of(file)
    if family is None:
        return f"architecture {architecture} has no native decoder"
    missing = missing_key(file)
    if missing:
        return f"its metadata lacks {missing}"
    unknown = [x for x in file.tensors if weight_name(family, x) is None and x not in ROPE_TENSORS]
    if unknown:
        return f"the tensor {escaped(min(unknown))} is not of the usual {architecture}"
    return "" if parse_gguf(file) else f"a variant of {architecture} without a native decoder"


def parse_gguf(
    file: GgufFile, context: int | None = None, *, switches: bool = True
) -> DecoderConfig | None:
    """A file's hyper-parameters; None if no native decoder computes what they describe.

    LongRoPE has another rotary embedding for texts longer than those of the pre-training. Where
    texts cannot switch to it as they grow, all get it if a longer context is asked for, as
    llama.cpp and vLLM do; else the context is that of the pre-training.

    Args:
        context: that is asked for, in tokens.
        switches: as `parse_config`'s.

    Raises:
        ModelError: one is out of range or of another type.
    """
    settings = config_of(file)
    if settings is None:
        return None
    try:
        config = parse_config(settings, context, switches=switches)
        if config is not None:
            return config
        scaling = settings.get("rope_scaling", {})
        config = parse_config(settings, scaling.get("original_max_position_embeddings"))
        if config is None or config.rotary is None or config.rotary.reach is None:
            return config
        reach = config.rotary.reach
        if context is not None and LONG_FACTORS in file.tensors:
            return replace(config, rotary=replace(config.rotary, reach=None))
        return replace(config, context_length=min(config.context_length, reach))
    except ModelError as error:  # in the words of config.json, whose names the settings have
        reason = str(error).removeprefix("config.json").lstrip(": ")
        raise ModelError(f"{file.path}: its metadata is damaged: {reason}") from error
