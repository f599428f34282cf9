"""Names and contents of the files of a model directory; imports no torch.

Every file of a model is read here, or by the readers of weights: a model comes from elsewhere, and
its files may be anything. Regular files only, of at most a size that no honest file has; texts in
UTF-8, with or without a byte order mark; JSON no deeper than any consumer can follow.
"""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from gptterm.engine.gguf_parts import part_names
from gptterm.errors import ModelError
from gptterm.format import escaped
from gptterm.json_values import as_object
from gptterm.regular_files import check_regular, open_regular, read_regular

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

_MIB = 1 << 20
# Each is at least one and a half times the largest that is known. Reading takes 15 to 100 times the
# size in memory.
_LIMITS = (
    (re.compile(re.escape(INDEX)), 64 * _MIB),
    (re.compile(r"(tokenizer|tekken)\.json|.*\.(model|spm|tiktoken)"), 48 * _MIB),
    (re.compile(r"(vocab|dict)\.json|.*\.(txt|codes)"), 16 * _MIB),
    (re.compile(r"tokenizer_config\.json"), 8 * _MIB),
)
_LIMIT = 4 * _MIB
_SIDE_FILE = re.compile(r".*\.(json|jinja|txt|model|spm|tiktoken|codes)")
_DEEPEST = 64


def size_limit(name: str) -> int:
    """The most bytes that a file of a model may have, weights aside."""
    return next((limit for pattern, limit in _LIMITS if pattern.fullmatch(name)), _LIMIT)


def read_bytes(file: Path) -> bytes:
    """Read a file of a model, weights aside.

    Raises:
        OSError: there is none, it cannot be read, is no regular file, or is too large.
    """
    return read_regular(file, size_limit(file.name))


def parse_text(data: bytes) -> str:
    """Decode a text in UTF-8, without its byte order mark.

    Raises:
        ValueError: it is in another encoding.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError("not UTF-8") from error


def parse_json(data: bytes) -> dict[str, Any]:
    """Parse a JSON object. (json, not msgspec: configs hold NaN and Infinity.)

    Raises:
        ValueError: it is something else; the message says what, as a clause.
    """
    text = parse_text(data)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("not JSON") from error
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    _check_depth(value)
    return value


def _check_depth(value: Any) -> None:
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"JSON nested more than {_DEEPEST} deep")


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object; empty if there is no such file.

    Raises:
        ModelError: the file cannot be read, or holds no JSON object.
    """
    try:
        return parse_json(read_bytes(file))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error


def read_text(file: Path) -> str | None:
    """Read a text; None if there is no such file.

    Raises:
        ModelError: the file cannot be read, or is not UTF-8.
    """
    try:
        return parse_text(read_bytes(file))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error


def check_side_files(directory: Path) -> None:
    """Check all files beside the weights, before a library opens any of them.

    Raises:
        ModelError: one is no regular file, or is too large.
    """
    templates = directory / "additional_chat_templates"
    for folder in (directory, templates) if templates.is_dir() else (directory,):
        for name in filter(_SIDE_FILE.fullmatch, os.listdir(folder)):
            check_side_file(folder / name)


def check_side_file(file: Path) -> None:
    """Check a file, if there is one, before a library opens it.

    Raises:
        ModelError: it is no regular file, or is too large.
    """
    try:
        check_regular(file, size_limit(file.name))
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: OSError | ValueError) -> ModelError:
    reason = (isinstance(error, OSError) and error.strerror) or str(error)
    return ModelError(f"{escaped(str(file))} cannot be read ({reason}); fetch the model again")


def indexed_files(index: Mapping[str, Any]) -> list[str]:
    """The names of the weight files that an index lists, in order.

    An index comes with a model: it may name safetensors files beside it and no others.

    Raises:
        ValueError: it lists none, or others.
    """
    files = list(as_object(index.get("weight_map")).values())
    if not files or not all(_is_weight_file(file) for file in files):
        raise ValueError("it lists no weight files")
    return sorted(set(files))


def _is_weight_file(name: object) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[\w.-]+\.safetensors", name) is not None


def weight_files(directory: Path) -> list[Path]:
    """The safetensors files of a model directory: one, or as many as its index lists.

    Raises:
        ModelError: the index is damaged.
    """
    whole, index = directory / WEIGHTS, directory / INDEX
    if whole.exists() or not index.exists():
        return [whole]
    try:
        return [directory / name for name in indexed_files(read_json(index))]
    except ValueError as error:
        raise ModelError(f"{index} is damaged ({error}); fetch the model again") from error


def weights_size(directory: Path, gguf_file: str | None) -> int:
    """Bytes of the weights' files; 0 if they cannot be read."""
    files: Iterable[Path] = directory.glob("*.safetensors")
    if gguf_file is not None:
        files = [directory / name for name in part_names(gguf_file)]
    try:
        return sum(file.stat().st_size for file in files)
    except OSError:
        return 0


def read_ahead(files: Iterable[Path]) -> None:
    """Let the kernel read weights ahead, while the caller imports what loads them."""
    if not hasattr(os, "posix_fadvise"):
        return
    for file in files:
        try:
            with open_regular(file) as opened:
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
        except OSError:
            continue  # loading it reports the error
