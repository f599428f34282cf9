"""Load a model directory's tokenizer from whichever files describe it."""

from pathlib import Path
from typing import cast

from tokenizers import (
    ByteLevelBPETokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
)
from tokenizers import Tokenizer as Backend

from gptterm.engine.gguf.reader import GgufFile
from gptterm.engine.gguf.tokenizer import TURN_ENDS, build_backend, end_ids, special_names
from gptterm.engine.runtime import transformers_import
from gptterm.engine.runtime.model_files import (
    check_side_file,
    check_side_files,
    read_json,
    read_text,
)
from gptterm.engine.text.chat_template_files import ChatTemplate, read_chat_template
from gptterm.engine.text.library_calls import LibraryCalls
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.engine.text.tokenizer_settings import TokenizerSettings
from gptterm.errors import ModelError
from gptterm.json_values import as_object

_UNKNOWN = "<unk>"
"""GPT-1's token for a character outside its vocabulary."""


def load_tokenizer(directory: Path, gguf: GgufFile | None = None) -> Tokenizer:
    """Load a model directory's tokenizer.

    tokenizer.json, or the vocab.json and merges.txt of GPT-1 or GPT-2, are read without
    transformers, whose import takes seconds; everything else is converted by that library.

    Args:
        gguf: the model's file; then none of the directory is read, as they need not belong to it.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    with LibraryCalls(f"the tokenizer in {directory} cannot be read"):
        if gguf is not None:
            template = gguf.text("tokenizer.chat_template")
            return Tokenizer(build_backend(gguf), end_ids(gguf), template, special_names(gguf))
        settings = TokenizerSettings.read(directory)
        backend = _backend(directory, settings)
        if backend is None:
            return _convert(directory)
        return _tokenizer(directory, backend, settings)


def _backend(directory: Path, settings: TokenizerSettings) -> Backend | None:
    """Load what the `tokenizers` library can read by itself; None for anything else."""
    whole = read_text(directory / "tokenizer.json")
    if whole is not None:
        backend = Backend.from_str(whole)
        settings.set_prefix_space(backend)
        return backend
    vocabulary = read_json(directory / "vocab.json")
    merges = read_text(directory / "merges.txt")
    if not vocabulary or merges is None:
        return None
    if settings.model_type == "openai-gpt":
        return _gpt1_backend(vocabulary, _merges(merges))
    if not settings.is_gpt2 or "</w>" in merges[:4096]:
        return None  # another pattern, or not byte-level
    pairs = _merges(merges)
    backend = cast("Backend", ByteLevelBPETokenizer(vocabulary, pairs)._tokenizer)
    settings.default_names("<|endoftext|>", backend)
    settings.set_prefix_space(backend)
    return backend


def _merges(text: str) -> list[tuple[str, str]]:
    """Parse merges.txt: a pair of tokens a line, the first to be merged first."""
    pairs = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if not line or line.startswith("#version"):
            continue
        left, _, right = line.partition(" ")
        if not (left and right) or " " in right:
            raise ModelError(f"line {number} of merges.txt is no pair of tokens; fetch it again")
        pairs.append((left, right))
    return pairs


def _gpt1_backend(vocabulary: dict[str, int], merges: list[tuple[str, str]]) -> Backend:
    """Load GPT-1's BPE: lower-cased words, each ending in `</w>`."""
    model = models.BPE(vocabulary, merges, unk_token=_UNKNOWN, end_of_word_suffix="</w>")
    backend = Backend(model)
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.BPEDecoder(suffix="</w>")
    if backend.token_to_id(_UNKNOWN) is not None:
        backend.add_special_tokens([_UNKNOWN])
    return backend


def _tokenizer(directory: Path, backend: Backend, settings: TokenizerSettings) -> Tokenizer:
    settings.add_tokens(backend)
    if not (directory / "tokenizer.json").exists():  # whose post-processor says it
        settings.set_start(backend)
    ends = _end_ids(backend, directory, settings.names.get("eos_token"))
    template = read_chat_template(directory, settings.config)
    return _with_template(Tokenizer(backend, ends, None, settings.names), template)


def _with_template(tokenizer: Tokenizer, template: ChatTemplate | None) -> Tokenizer:
    if template is not None:
        tokenizer.chat_template, tokenizer.notices = template
    return tokenizer


def _convert(directory: Path) -> Tokenizer:
    """Load any other tokenizer with the transformers library, which opens the files itself."""
    check_side_files(directory)
    settings = read_json(directory / "tokenizer_config.json")
    for key, value in settings.items():
        if key.endswith("_file") and isinstance(value, str):
            check_side_file(Path(value))  # which the library may open, too
    with transformers_import.transformers() as transformers:
        loaded = transformers.AutoTokenizer.from_pretrained(
            directory, trust_remote_code=False, local_files_only=True
        )
    backend = loaded.backend_tokenizer
    ends = _end_ids(backend, directory, loaded.eos_token)
    tokenizer = Tokenizer(backend, ends, None, loaded.special_tokens_map)
    return _with_template(tokenizer, read_chat_template(directory, settings))


def _end_ids(backend: Backend, directory: Path, name: str | None) -> frozenset[int]:
    """Return the ids that end a text: all that the files name, and tokens known to end a turn."""
    config = read_json(directory / "config.json")
    text = as_object(config.get("text_config"))  # a multimodal model's
    ids: set[int] = set()
    for place in (read_json(directory / "generation_config.json"), config, text):
        value = place.get("eos_token_id")
        ids |= {i for i in (value if isinstance(value, list) else [value]) if type(i) is int}
    named = None if name is None else backend.token_to_id(name)
    ids |= set() if named is None else {named}
    ids |= {
        # Not an ordinary word of that name.
        i
        for i, token in backend.get_added_tokens_decoder().items()
        if token.content in TURN_ENDS
    }
    return frozenset(i for i in ids if 0 <= i < 2**32 and backend.id_to_token(i) is not None)
