"""Metadata of a model, read from its files without loading it."""

from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from gptterm.engine.api import KV_DTYPES, ModelSource, SamplingParams
from gptterm.engine.decoders.config import DecoderConfig
from gptterm.engine.decoders.config_parsers.registry import parse_config, why_not_native
from gptterm.engine.runtime.safetensors_header import read_header
from gptterm.engine.samplers import SAMPLERS
from gptterm.engine.text.chat_template_files import read_chat_template
from gptterm.errors import ModelError
from gptterm.json_values import as_count, as_text
from gptterm.models.architectures import text_config
from gptterm.models.validation import read_config, read_json, weight_files

_CONTEXT_KEYS = ("n_positions", "max_position_embeddings", "n_ctx", "max_seq_len", "seq_length")


class ModelMetadata(NamedTuple):
    """A model as its files describe it; 0 or empty where they do not."""

    architecture: str
    """`model_type` of config.json, or the architecture of a GGUF file."""
    decoder: Literal["native", "transformers"]
    """The decoder that will run it."""
    decoder_reason: str
    """Why it is no native one; empty where it is."""
    parameters: int
    dtypes: str
    """Dtypes of the stored weights, such as `F32`."""
    size: int
    """Bytes of the weights."""
    context_length: int
    cache_bytes_per_token: dict[str, int]
    """Of a native decoder's KV cache, by dtype."""
    vocab_size: int
    has_chat_template: bool

    @property
    def kind(self) -> Literal["chat", "base"]:
        """Whether it was made to talk with."""
        return "chat" if self.has_chat_template else "base"


def read_metadata(source: ModelSource) -> ModelMetadata:
    """Read config.json, the tokenizer's configuration and the headers of the weights.

    Raises:
        ModelError: a file is missing or damaged.
    """
    directory = Path(source.directory)
    if source.gguf_file is not None:
        return _read_gguf(directory / source.gguf_file)
    config = read_config(directory, source.name)
    reason = why_not_native(config)
    native = None if reason else parse_config(config)
    config = text_config(config)
    weights = weight_files(directory, source.name)
    headers = [read_header(path) for path in weights]
    return ModelMetadata(
        architecture=as_text(config.get("model_type")),
        decoder="transformers" if reason else "native",
        decoder_reason=reason,
        parameters=sum(header.parameters for header in headers),
        dtypes=", ".join(sorted({t.dtype for header in headers for t in header.tensors.values()})),
        size=sum(path.stat().st_size for path in weights),
        context_length=_first_number(config, _CONTEXT_KEYS),
        cache_bytes_per_token=_cache_bytes(native),
        vocab_size=_first_number(config, ("vocab_size",)),
        has_chat_template=_has_chat_template(directory, source.name),
    )


def _read_gguf(path: Path) -> ModelMetadata:
    # Imported here: every warm start reads generation_config.json, hardly any a GGUF file.
    from gptterm.engine.decoders import gguf_model
    from gptterm.engine.gguf.reader import read_header as read_gguf_header
    from gptterm.engine.gguf.sizes import check_sizes

    file = read_gguf_header(path)
    check_sizes(file)
    reason = gguf_model.why_not_native(file)
    config = None if reason else gguf_model.parse_gguf(file)
    architecture = file.text("general.architecture") or ""
    return ModelMetadata(
        architecture=architecture,
        decoder="transformers" if reason else "native",
        decoder_reason=reason,
        parameters=file.parameters,
        dtypes=", ".join(sorted({tensor.type.name for tensor in file.tensors.values()})),
        size=file.size,
        context_length=(
            config.context_length if config else file.number(f"{architecture}.context_length") or 0
        ),
        cache_bytes_per_token=_cache_bytes(config),
        vocab_size=len(file.texts("tokenizer.ggml.tokens")),
        has_chat_template=file.text("tokenizer.chat_template") is not None,
    )


def _cache_bytes(config: DecoderConfig | None) -> dict[str, int]:
    return {dtype: config.cache_bytes(dtype) for dtype in KV_DTYPES} if config else {}


def _first_number(config: dict[str, Any], keys: tuple[str, ...]) -> int:
    return next(filter(None, (as_count(config.get(key)) for key in keys)), 0)


def _has_chat_template(directory: Path, name: str) -> bool:
    path = directory / "tokenizer_config.json"
    settings = read_json(path, name) if path.exists() else {}
    return read_chat_template(directory, settings) is not None


_FIELDS: dict[str, type[int] | type[float]] = {
    sampler.name: int if sampler.range.integer else float
    for sampler in SAMPLERS.values()
    if sampler.in_generation_config
}


def generation_defaults(source: ModelSource) -> dict[str, float | int]:
    """Read the sampling defaults in generation_config.json, by field of `SamplingParams`.

    For a model on a server, neutral values for the samplers that it may not take.
    Values that are missing, null, of a wrong type or out of range are left out. `do_sample` is
    ignored: temperature 0 means greedy.
    """
    if source.remote is not None:
        from gptterm.engine.remote.dialects import defaults

        return defaults(source.remote.dialect)
    path = Path(source.directory) / "generation_config.json"
    if source.gguf_file is not None or not path.exists():
        return {}
    try:
        config = read_json(path, source.name)
    except ModelError:
        return {}
    found = {field: _valid(field, config.get(field)) for field in _FIELDS}
    return {field: value for field, value in found.items() if value is not None}


def _valid(field: str, value: object) -> float | int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        converted = _FIELDS[field](value)
        if converted != value or abs(converted) >= 2**31:
            return None
        msgspec.structs.replace(SamplingParams(), **{field: converted})
    except (ValueError, OverflowError):
        return None
    return converted
