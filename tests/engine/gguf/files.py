"""GGUF files written by the `gguf` package."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gguf import GGMLQuantizationType, GGUFWriter
from numpy.typing import NDArray


def write_gguf(
    path: Path,
    metadata: Mapping[str, Any] | None = None,
    tensors: Mapping[str, NDArray[Any]] | None = None,
    architecture: str = "llama",
    kinds: Mapping[str, str] | None = None,
    most_tensors: int = 0,
) -> Path:
    """Write a file; integers become uint32, a list's type is its first item's.

    Args:
        most_tensors: of a part, where the file is to be split.
        kinds: types of the tensors that are given as rows of blocks, by name.
    """
    writer = GGUFWriter(path, architecture, split_max_tensors=most_tensors)
    for key, value in (metadata or {}).items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        else:
            writer.add_array(key, list(value))
    for name, tensor in (tensors or {}).items():
        kind = (kinds or {}).get(name)
        raw = None if kind is None else GGMLQuantizationType[kind]
        writer.add_tensor(name, tensor, raw_dtype=raw)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def vocabulary(
    tokens: Sequence[str], kind: str = "gpt2", types: Sequence[int] = (), **rest: Any
) -> dict[str, object]:
    """Metadata of a tokenizer; what is None is left out."""
    found = {
        "model": kind,
        "tokens": list(tokens),
        "token_type": list(types) or [1] * len(tokens),
        **rest,
    }
    return {
        f"tokenizer.ggml.{key}": value for key, value in found.items() if value not in (None, [])
    }
