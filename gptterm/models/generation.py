"""The sampling a model's authors recommend, from its generation_config.json."""

from pathlib import Path

import msgspec

from gptterm.engine.api import ModelSource, SamplingParams
from gptterm.errors import ModelError
from gptterm.models.directory import read_json

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
