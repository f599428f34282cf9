"""Validate a model directory by file names, JSON and headers: no torch, no pickle.

The same rules hold for a user's directory, a snapshot in the Hub cache and, by names only, the
file list of a repository that is not downloaded yet.
"""

import re
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

from gptterm.engine.runtime.model_files import CONFIG, INDEX, WEIGHTS, indexed_files, parse_json
from gptterm.engine.runtime.safetensors_header import SafetensorsHeaderError, read_header
from gptterm.errors import ModelError
from gptterm.format import escaped
from gptterm.models.errors import DamagedModelError, IncompleteModelError

# A tokenizer can be built from any one of these, or from the two files of byte-level BPE.
_VOCABULARIES = frozenset(
    {
        "tokenizer.json",
        "tokenizer.model",
        "spiece.model",
        "sentencepiece.bpe.model",
        "vocab.txt",
        "tekken.json",
    }
)
_BYTE_LEVEL_BPE = frozenset({"vocab.json", "merges.txt"})
TOKENIZER_FILES = frozenset[str](_VOCABULARIES | _BYTE_LEVEL_BPE) | {
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
}
"""All files that a tokenizer and its chat template may consist of."""

# Model types that gptterm has native decoders for.
_NATIVE = frozenset({"gpt2", "openai-gpt", "gpt_neo"})
_PICKLED = re.compile(r".*\.(bin|pt|pth|ckpt|pkl|pickle)", re.IGNORECASE)
_OTHER_FRAMEWORKS = re.compile(r".*\.(h5|msgpack|onnx|ot|tflite|mlmodel|mlpackage)", re.IGNORECASE)


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
        check_config(read_config(directory, name), name)
        names = {entry.name for entry in directory.iterdir() if entry.is_file()}
        for weights in _weight_files(directory, names, name):
            _check_weights(weights, name)
        check_tokenizer(names, name)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        where = escaped(str(error.filename or directory))
        raise ModelError(f"{escaped(name)} cannot be read: {where}: {reason}") from error


def read_config(directory: Path, name: str) -> dict[str, Any]:
    """Read the directory's config.json.

    Raises:
        IncompleteModelError: there is none.
        DamagedModelError: it is not a JSON object.
    """
    if not (directory / CONFIG).is_file():
        raise IncompleteModelError(
            f"{escaped(name)} has no config.json; "
            "a model is a directory with config.json, model.safetensors and a tokenizer"
        )
    return read_json(directory / CONFIG, name)


def read_json(path: Path, name: str) -> dict[str, Any]:
    """Read a JSON object from a file.

    Raises:
        DamagedModelError: the file is not a JSON object.
    """
    try:
        return parse_json(path.read_bytes())
    except ValueError as error:
        raise DamagedModelError(f"{escaped(name)} has a damaged {path.name}: {error}") from error


def check_config(config: dict[str, Any], name: str) -> None:
    """Refuse a model that needs the code in its own repository, or that is not a decoder.

    `auto_map` alone is no reason: many repositories have kept it from before transformers had
    their architecture, and transformers then uses its own code.

    Raises:
        ModelError: it is refused.
    """
    model_type = config.get("model_type")
    if model_type in _NATIVE:
        return
    known = _causal_model_types()
    builtin = isinstance(model_type, str) and (known is None or model_type in known)
    if "auto_map" in config and (known is None or not builtin):
        raise ModelError(
            f"{escaped(name)} needs to run code from its own repository, which gptterm never does; "
            "choose a model whose architecture is built into transformers"
        )
    if not isinstance(model_type, str):
        raise ModelError(f"{escaped(name)} has a config.json without model_type")
    if not builtin:
        raise ModelError(
            f"{escaped(name)} is a {escaped(model_type)} model, not a text generator that the "
            "installed transformers knows"
        )


def check_tokenizer(names: Collection[str], name: str) -> None:
    """Check that a tokenizer is among these files.

    Raises:
        IncompleteModelError: there is none.
    """
    if not _VOCABULARIES.intersection(names) and not _BYTE_LEVEL_BPE.issubset(names):
        raise IncompleteModelError(
            f"{escaped(name)} has no tokenizer; it needs tokenizer.json, or vocab.json and "
            "merges.txt"
        )


def check_weight_names(names: Collection[str], name: str) -> None:
    """Check that safetensors weights are among these files.

    Raises:
        IncompleteModelError: there are none; the message says what there is instead.
    """
    if WEIGHTS in names or INDEX in names:
        return
    subject = escaped(name)
    safetensors = sorted(n for n in names if n.endswith(".safetensors"))
    gguf = sorted(n for n in names if n.endswith(".gguf"))
    pickled = sorted(n for n in names if _PICKLED.fullmatch(n) and n != "training_args.bin")
    if "adapter_config.json" in names:
        message = f"{subject} is an adapter, not a whole model; merge it into its base model first"
    elif safetensors:
        message = f"{subject} has no model.safetensors, only {escaped(safetensors[0])}"
    elif gguf:
        message = (
            f"{subject} has only GGUF weights; give the path of one such as {escaped(gguf[0])}"
        )
    elif pickled:
        message = (
            f"{subject} has only pickled weights ({escaped(pickled[0])}), which can run code when "
            "loaded; choose a model with safetensors, or convert it"
        )
    elif any(_OTHER_FRAMEWORKS.fullmatch(n) for n in names):
        message = f"{subject} has only weights for other frameworks; choose one with safetensors"
    else:
        message = f"{subject} has no weights; it needs a model.safetensors"
    raise IncompleteModelError(message)


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


def _check_weights(path: Path, name: str) -> None:
    try:
        read_header(path)
    except SafetensorsHeaderError as error:
        raise DamagedModelError(f"{escaped(name)}: {escaped(path.name)} is {error}") from error


@cache
def _causal_model_types() -> frozenset[str] | None:
    """The `model_type`s with a causal language model in the installed transformers.

    Read from its source, since importing it takes seconds. None if that cannot be read.
    """
    import importlib.util

    spec = importlib.util.find_spec("transformers")
    if spec is None or not spec.submodule_search_locations:
        return None
    source = Path(spec.submodule_search_locations[0]) / "models" / "auto" / "modeling_auto.py"
    try:
        text = source.read_text(encoding="utf-8")
    except OSError:
        return None
    table = re.search(r"^MODEL_FOR_CAUSAL_LM_MAPPING_NAMES\b.*?^\)", text, re.DOTALL | re.MULTILINE)
    types = re.findall(r'\(\s*"([^"]+)"\s*,', table[0]) if table else []
    return frozenset(types) or None
