"""Validate a model directory by file names, JSON and headers: no torch, no pickle.

Every way to a model passes here, `models info` and loading alike, so that they agree. The same
rules hold for a user's directory, a snapshot in the Hub cache and, by names only, the file list of
a repository that is not downloaded yet.
"""

import errno
from pathlib import Path
from typing import Any

from gptterm.engine.runtime.model_files import (
    CONFIG,
    INDEX,
    WEIGHTS,
    check_side_files,
    indexed_files,
    parse_json,
    read_bytes,
)
from gptterm.engine.runtime.safetensors_header import (
    SafetensorsHeader,
    SafetensorsHeaderError,
    read_header,
)
from gptterm.errors import ModelError
from gptterm.format import escaped
from gptterm.json_values import as_object, as_text
from gptterm.models.architectures import check_architecture, quantization_methods
from gptterm.models.errors import DamagedModelError, IncompleteModelError
from gptterm.models.folder_kinds import (
    ADAPTER,
    check_has_config,
    check_tokenizer,
    check_weight_names,
)
from gptterm.models.sizes import check_sizes


def check_directory(directory: Path, name: str) -> None:
    """Check that `directory` holds all files of a model, undamaged and safe to load.

    Args:
        directory: holds config.json, safetensors weights and a tokenizer.
        name: the model, for messages.

    Raises:
        IncompleteModelError: a file is missing, or all weights are pickled.
        DamagedModelError: a file is truncated or garbled.
        ModelError: it needs code from its repository, is of a kind gptterm cannot use, or cannot
            be read.
    """
    try:
        config = read_config(directory, name)
        check_config(config, name)
        check_side_files(directory)
        files = {entry.name for entry in directory.iterdir() if entry.is_file()}
        headers = [_read_header(file, name) for file in _weight_files(directory, files, name)]
        check_tokenizer(files, name)
        check_sizes(config, headers, name)
    except OSError as error:
        raise _unreadable(name, error, directory) from error


def _unreadable(name: str, error: OSError, place: Path) -> ModelError:
    reason = error.strerror or type(error).__name__
    where = escaped(str(error.filename or place))
    remedy = "; fetch the model again" if error.errno in (errno.EINVAL, errno.EFBIG) else ""
    return ModelError(f"{escaped(name)} cannot be read: {where}: {reason}{remedy}")


def read_config(directory: Path, name: str) -> dict[str, Any]:
    """Read the directory's config.json.

    Raises:
        IncompleteModelError: there is none.
        DamagedModelError: it is not a JSON object.
        ModelError: it cannot be read.
    """
    if not (directory / CONFIG).exists():
        check_has_config([entry.name for entry in directory.iterdir()], name, _base(directory))
    return read_json(directory / CONFIG, name)


def read_json(path: Path, name: str) -> dict[str, Any]:
    """Read a JSON object from a file.

    Raises:
        DamagedModelError: the file is not a JSON object.
        ModelError: it cannot be read, is no regular file, or is too large.
    """
    try:
        return parse_json(read_bytes(path))
    except ValueError as error:
        raise DamagedModelError(f"{escaped(name)} has a damaged {path.name}: {error}") from error
    except OSError as error:
        raise _unreadable(name, error, path) from error


def check_config(config: dict[str, Any], name: str) -> None:
    """Refuse a model of a kind or a format that cannot be run.

    Raises:
        ModelError: it is refused.
    """
    check_architecture(config, name)
    quantised = as_object(config.get("quantization_config"))
    method = as_text(quantised.get("quant_method"))
    if not method and (as_object(config.get("quantization")) or "group_size" in quantised):
        raise ModelError(
            f"{escaped(name)} is quantised for MLX, which only Apple's library reads; choose the "
            "original model, or a .gguf file of it"
        )
    known = quantization_methods() if method else frozenset[str]()
    if known and not any(label.startswith(method) for label in known):
        raise ModelError(
            f"{escaped(name)} is quantised as {escaped(method)}, which the installed transformers "
            "does not read; choose the original model, or a .gguf file of it"
        )


def notices(directory: Path) -> tuple[str, ...]:
    """Notices about a model directory that can be used."""
    if not (directory / ADAPTER).exists():
        return ()
    return ("the adapter in the model's folder is not used; merge it into the weights first",)


def _base(directory: Path) -> str:
    """The model that an adapter's folder says it belongs to; empty if it is none."""
    try:
        config = read_json(directory / ADAPTER, "")
    except ModelError:
        return ""
    return as_text(config.get("base_model_name_or_path"))


def shards(index: Path, name: str) -> list[str]:
    """Read the names of the weight files from an index, in order.

    Raises:
        DamagedModelError: the index is garbled, or names files outside the directory.
    """
    try:
        return indexed_files(read_json(index, name))
    except ValueError as error:
        raise DamagedModelError(f"{escaped(name)} has a damaged {INDEX}: {error}") from error


def weight_files(directory: Path, name: str) -> list[Path]:
    """List the weight files of a model, all of which exist.

    Raises:
        IncompleteModelError: one is missing, or all.
        DamagedModelError: the index is garbled.
    """
    return _weight_files(directory, {e.name for e in directory.iterdir() if e.is_file()}, name)


def _weight_files(directory: Path, names: set[str], name: str) -> list[Path]:
    check_weight_names(names, name)
    if WEIGHTS in names:  # preferred to an index, as in transformers
        return [directory / WEIGHTS]
    files = shards(directory / INDEX, name)
    missing = [file for file in files if file not in names]
    if missing:
        raise IncompleteModelError(
            f"{escaped(name)} lacks {escaped(missing[0])}"
            + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
            + f" of the {len(files)} weight files its index lists"
        )
    return [directory / file for file in files]


def _read_header(path: Path, name: str) -> SafetensorsHeader:
    try:
        return read_header(path)
    except SafetensorsHeaderError as error:
        raise DamagedModelError(f"{escaped(name)}: {escaped(path.name)} is {error}") from error
