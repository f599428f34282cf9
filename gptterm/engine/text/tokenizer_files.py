"""Load a model directory's tokenizer from whichever files describe it."""

from pathlib import Path
from typing import Any

from tokenizers import (
    ByteLevelBPETokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
)
from tokenizers import Tokenizer as Backend

from gptterm.engine.gguf.reader import read_header
from gptterm.engine.gguf.tokenizer import build_backend, end_ids, special_names
from gptterm.engine.runtime import transformers_import
from gptterm.engine.runtime.model_files import read_json
from gptterm.engine.text.library_calls import LibraryCalls
from gptterm.engine.text.tokenizer import Tokenizer

_UNKNOWN = "<unk>"
"""GPT-1's token for a character outside its vocabulary."""


def load_tokenizer(directory: Path, gguf_file: str | None = None) -> Tokenizer:
    """Load a model directory's tokenizer.

    tokenizer.json, or the vocab.json and merges.txt of GPT-1 or GPT-2, are read without
    transformers, whose import takes seconds; everything else is converted by that library.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    with LibraryCalls(f"the tokenizer in {directory} cannot be read"):
        if gguf_file is not None:
            return _from_gguf(directory / gguf_file)
        backend = _backend(directory)
        return _convert(directory) if backend is None else _tokenizer(directory, backend)


def _from_gguf(path: Path) -> Tokenizer:
    """Load from a GGUF file alone: other files in its directory need not belong to it."""
    file = read_header(path)
    template = file.text("tokenizer.chat_template")
    return Tokenizer(build_backend(file), end_ids(file), template, special_names(file))


def _backend(directory: Path) -> Backend | None:
    """Load what the `tokenizers` library can read by itself; None for anything else."""
    whole = directory / "tokenizer.json"
    if whole.exists():
        return Backend.from_file(str(whole))
    vocabulary, merges = directory / "vocab.json", directory / "merges.txt"
    if not (vocabulary.exists() and merges.exists()):
        return None
    if read_json(directory / "config.json").get("model_type") == "openai-gpt":
        return _gpt1_backend(vocabulary, merges)
    if "</w>" in merges.read_text("utf-8")[:4096]:
        return None  # not byte-level, and not GPT-1
    backend: Backend = ByteLevelBPETokenizer(str(vocabulary), str(merges))._tokenizer
    if backend.token_to_id("<|endoftext|>") is not None:
        backend.add_special_tokens(["<|endoftext|>"])
    return backend


def _gpt1_backend(vocabulary: Path, merges: Path) -> Backend:
    """Load GPT-1's BPE: lower-cased words, each ending in `</w>`."""
    model = models.BPE.from_file(
        str(vocabulary), str(merges), unk_token=_UNKNOWN, end_of_word_suffix="</w>"
    )
    backend = Backend(model)
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.BPEDecoder(suffix="</w>")
    if backend.token_to_id(_UNKNOWN) is not None:
        backend.add_special_tokens([_UNKNOWN])
    return backend


def _tokenizer(directory: Path, backend: Backend) -> Tokenizer:
    settings = read_json(directory / "tokenizer_config.json")
    if "added_tokens_decoder" not in settings:  # older repositories name the tokens here
        settings = read_json(directory / "special_tokens_map.json") | settings
    names = {
        name: text
        for name, value in settings.items()
        if name.endswith("_token") and (text := _token_text(value)) is not None
    }
    ends = _end_ids(backend, directory, names.get("eos_token"))
    return Tokenizer(backend, ends, _chat_template(directory, settings), names)


def _convert(directory: Path) -> Tokenizer:
    """Load any other tokenizer with the transformers library."""
    with transformers_import.transformers() as transformers:
        loaded = transformers.AutoTokenizer.from_pretrained(
            directory, trust_remote_code=False, local_files_only=True
        )
    backend = loaded.backend_tokenizer
    template = loaded.chat_template
    return Tokenizer(
        backend,
        _end_ids(backend, directory, loaded.eos_token),
        template if isinstance(template, str) else None,
        loaded.special_tokens_map,
    )


def _end_ids(backend: Backend, directory: Path, name: str | None) -> frozenset[int]:
    ids: set[int] = set()
    for file in ("generation_config.json", "config.json"):
        value = read_json(directory / file).get("eos_token_id")
        ids |= {i for i in (value if isinstance(value, list) else [value]) if isinstance(i, int)}
    named = None if name is None else backend.token_to_id(name)
    ids |= set() if named is None else {named}
    return frozenset(i for i in ids if i >= 0 and backend.id_to_token(i) is not None)


def _token_text(value: Any) -> str | None:
    text = value.get("content") if isinstance(value, dict) else value
    return text if isinstance(text, str) else None


def _chat_template(directory: Path, settings: dict[str, Any]) -> str | None:
    file = directory / "chat_template.jinja"
    if file.exists():
        return file.read_text("utf-8")
    template = settings.get("chat_template")
    if isinstance(template, list):  # several, by name
        named = {entry["name"]: entry["template"] for entry in template}
        template = named.get("default")
    return template if isinstance(template, str) else None
