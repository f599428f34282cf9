"""What can be told of a model from its files, without loading it."""

import math
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from gptterm.engine.api import ModelSource, SamplingParams
from gptterm.engine.decoders.config import parse_config
from gptterm.engine.gguf import reader as gguf
from gptterm.errors import ModelError
from gptterm.models.safetensors_check import read_header
from gptterm.models.validation import read_config, read_json, weight_files

_CONTEXT_KEYS = ("n_positions", "max_position_embeddings", "n_ctx", "max_seq_len", "seq_length")


class Facts(NamedTuple):
    """A model as its files describe it; 0 and empty where they do not say."""

    architecture: str
    """`model_type` of config.json, which a GGUF file calls its architecture."""
    decoder: Literal["native", "transformers"]
    """What will compute it."""
    parameters: int
    dtypes: str
    """Of the stored weights, such as `F32`."""
    size: int
    """Bytes of the weights."""
    context_length: int
    vocab_size: int
    has_chat_template: bool


def facts(source: ModelSource) -> Facts:
    """Read config.json, the tokenizer's configuration and the headers of the weights.

    Raises:
        ModelError: a file is missing or damaged.
    """
    directory = Path(source.directory)
    if source.gguf_file is not None:
        return _gguf_facts(directory / source.gguf_file)
    config = read_config(directory, source.name)
    native = parse_config(config) is not None
    text = config.get("text_config")
    if isinstance(text, dict):  # a model of several modalities
        config = text | config
    weights = weight_files(directory, source.name)
    headers = [read_header(path) for path in weights]
    return Facts(
        architecture=str(config.get("model_type", "")),
        decoder="native" if native else "transformers",
        parameters=sum(header.parameters for header in headers),
        dtypes=", ".join(sorted({dtype for header in headers for dtype in header.dtypes})),
        size=sum(path.stat().st_size for path in weights),
        context_length=_first_number(config, _CONTEXT_KEYS),
        vocab_size=_first_number(config, ("vocab_size",)),
        has_chat_template=_has_chat_template(directory, source.name),
    )


def _gguf_facts(path: Path) -> Facts:
    file = gguf.read_header(path)
    architecture = file.text("general.architecture") or ""
    return Facts(
        architecture=architecture,
        decoder="transformers",
        parameters=sum(math.prod(tensor.shape) for tensor in file.tensors.values()),
        dtypes=", ".join(sorted({tensor.type.name for tensor in file.tensors.values()})),
        size=path.stat().st_size,
        context_length=file.number(f"{architecture}.context_length") or 0,
        vocab_size=len(file.texts("tokenizer.ggml.tokens")),
        has_chat_template=file.text("tokenizer.chat_template") is not None,
    )


def _first_number(config: dict[str, Any], keys: tuple[str, ...]) -> int:
    return next((config[key] for key in keys if type(config.get(key)) is int), 0)


def _has_chat_template(directory: Path, name: str) -> bool:
    if any((directory / f"chat_template.{kind}").is_file() for kind in ("jinja", "json")):
        return True
    path = directory / "tokenizer_config.json"
    return path.is_file() and bool(read_json(path, name).get("chat_template"))


_FIELDS: dict[str, type[int] | type[float]] = {
    "temperature": float,
    "top_k": int,
    "top_p": float,
    "min_p": float,
    "typical_p": float,
    "repetition_penalty": float,
}


def generation_defaults(source: ModelSource) -> dict[str, float | int]:
    """What generation_config.json sets of `SamplingParams`, by field name.

    Values that are missing, null, of a wrong type or out of range are left out: a recommendation
    that makes no sense is none. `do_sample` is not looked at; temperature 0 says greedy.
    """
    path = Path(source.directory) / "generation_config.json"
    if source.gguf_file is not None or not path.is_file():
        return {}
    try:
        config = read_json(path, source.name)
    except (ModelError, OSError):
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
