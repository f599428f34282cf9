"""Kinds of folders by their file names: what is no model that can be run, and what helps.

The same rules hold for a directory and for the file list of a repository that is not downloaded.
"""

import re
from collections.abc import Collection

from gptterm.engine.runtime.model_files import CONFIG, INDEX, WEIGHTS
from gptterm.format import escaped
from gptterm.models.errors import IncompleteModelError

# A tokenizer can be built from any one of these, or from the two files of byte-level BPE.
_SENTENCEPIECE = frozenset({"tokenizer.model", "spiece.model", "sentencepiece.bpe.model"})
_VOCABULARIES = frozenset({"tokenizer.json", "vocab.txt"}) | _SENTENCEPIECE
_BYTE_LEVEL_BPE = frozenset({"vocab.json", "merges.txt"})
TOKENIZER_FILES = frozenset[str](_VOCABULARIES | _BYTE_LEVEL_BPE) | {
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
}
"""All files that a tokenizer and its chat template may consist of."""

_PICKLED = re.compile(r".*\.(bin|pt|pth|ckpt|pkl|pickle)", re.IGNORECASE)
_OTHER_FRAMEWORKS = re.compile(
    r".*\.(h5|msgpack|onnx|ot|tflite|mlmodel|mlpackage|engine|npz)", re.IGNORECASE
)
ADAPTER = "adapter_config.json"


def check_has_config(names: Collection[str], name: str, base_model: str = "") -> None:
    """Check that config.json is among these files.

    Args:
        names: of all files and folders.
        name: the model, for messages.
        base_model: what an adapter says that it belongs to.

    Raises:
        IncompleteModelError: it is not; the message says what the folder is instead.
    """
    if CONFIG in names:
        return
    for file, kind in _WITHOUT_CONFIG.items():
        if file in names:
            raise IncompleteModelError(f"{escaped(name)} {kind}")
    check_weight_names(names, name, base_model)
    raise IncompleteModelError(
        f"{escaped(name)} has no config.json; "
        "a model is a directory with config.json, model.safetensors and a tokenizer"
    )


_WITHOUT_CONFIG = {
    "model_index.json": "is a diffusers pipeline, which makes images; choose a causal language "
    "model",
    "modules.json": "is a sentence-transformers model, which embeds texts; choose a causal "
    "language model",
    "params.json": "is in its maker's own format, without config.json; choose the repository's "
    "version for transformers",
    "snapshots": "is a repository's folder in a Hub cache; give the folder under its snapshots",
}


def check_weight_names(names: Collection[str], name: str, base_model: str = "") -> None:
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
    if ADAPTER in names:
        of = f" (LoRA) for {escaped(base_model)}" if base_model else " (LoRA)"
        message = (
            f"{subject} is an adapter{of}, not a whole model; name its base model, and its folder "
            "with --adapter"
        )
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
    elif CONFIG in names:
        message = f"{subject} has no weights; it needs a model.safetensors"
    else:
        return
    raise IncompleteModelError(message)


def check_tokenizer(names: Collection[str], name: str) -> None:
    """Check that a tokenizer is among these files.

    Raises:
        IncompleteModelError: there is none, or one that cannot be read here.
    """
    subject = escaped(name)
    if not _VOCABULARIES.intersection(names) and not _BYTE_LEVEL_BPE.issubset(names):
        if "tekken.json" in names:
            raise IncompleteModelError(
                f"{subject} has its tokenizer only in Mistral's own format, tekken.json; it needs "
                "tokenizer.json, which other versions of the model have"
            )
        raise IncompleteModelError(
            f"{subject} has no tokenizer; it needs tokenizer.json, or vocab.json and merges.txt"
        )
    alone = _SENTENCEPIECE.intersection(names)
    if alone and not (_VOCABULARIES - _SENTENCEPIECE).intersection(names) and not _has_protobuf():
        raise IncompleteModelError(
            f"{subject} has its tokenizer only as SentencePiece's {min(alone)}, which needs the "
            "packages sentencepiece and protobuf; install them, or add the model's tokenizer.json"
        )


def _has_protobuf() -> bool:
    import importlib.util

    try:
        return all(map(importlib.util.find_spec, ("sentencepiece", "google.protobuf")))
    except ModuleNotFoundError:  # no `google`
        return False
