"""Build a tokenizer of the `tokenizers` library from a GGUF file's metadata.

Byte-level BPE is cut into words by the pattern that `tokenizer.ggml.pre` names. SentencePiece's
BPE (Sennrich et al., 2016; Kudo and Richardson, 2018) merges the pair whose union has the highest
score first; here the merges are ranked by those scores. Held against llama.cpp's own vocabularies
and their expected ids.
"""

from collections.abc import Iterator

from tokenizers import (
    AddedToken,
    Regex,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)
from tokenizers import Tokenizer as Backend

from gptterm.engine.gguf.patterns import PATTERNS, Pattern
from gptterm.engine.gguf.reader import GgufFile
from gptterm.errors import ModelError

_UNKNOWN, _CONTROL, _USER_DEFINED = 2, 3, 4
"""Values of `tokenizer.ggml.token_type`."""
_SPACE = "▁"


def build_backend(file: GgufFile) -> Backend:
    """The tokenizer that the file describes.

    Raises:
        ModelError: it describes none, or one of a kind that is not read.
    """
    tokens = file.texts("tokenizer.ggml.tokens")
    kind = file.text("tokenizer.ggml.model")
    if not tokens or kind is None:
        raise ModelError(f"{file.path} holds no tokenizer; fetch a file of the whole model")
    if kind == "gpt2":
        backend, start = _byte_level(file, tokens)
    elif kind == "llama":
        backend, start = _sentencepiece(file, tokens, _ranked_merges(file, tokens)), True
    elif kind == "gemma4":
        backend, start = _sentencepiece(file, tokens, _merges(file, tokens), prefix=False), True
        # Its merges never cross the end of a line.
        backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"\n+"), "isolated")
    else:
        raise ModelError(f"{file.path} has a tokenizer of kind {kind!r}, which is not read here")
    _add_tokens(backend, file, tokens)
    _set_start(backend, file, tokens, start)
    return backend


def end_ids(file: GgufFile) -> frozenset[int]:
    """Ids that end a text: the file's eos, eot and eom, and tokens known to end a turn by name."""
    keys = ("eos_token_id", "eot_token_id", "eom_token_id")
    tokens = file.texts("tokenizer.ggml.tokens")
    ids = {file.number(f"tokenizer.ggml.{key}") for key in keys}
    types = file.numbers("tokenizer.ggml.token_type")
    ids |= {
        i for i, name in enumerate(tokens)
        if name in TURN_ENDS and (i >= len(types) or types[i] in (_CONTROL, _USER_DEFINED))
    }  # fmt: skip
    return frozenset(i for i in ids if i is not None and 0 <= i < len(tokens))


TURN_ENDS = frozenset(
    {
        "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<turn|>", "<|end|>",
        "<|endoftext|>", "<|end_of_text|>", "<|END_OF_TURN_TOKEN|>", "<|return|>", "<|call|>",
        "</s>", "<EOT>", "_<EOT>", "<end_of_utterance>",
    }
)  # fmt: skip
"""Names of tokens that end a text or a turn in the families' chat formats."""


def special_names(file: GgufFile) -> dict[str, str]:
    """Names of the special tokens that a chat template may use: `bos_token`, `eos_token`, …"""
    tokens = file.texts("tokenizer.ggml.tokens")
    keys = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding", "sep": "seperator"}
    ids = {name: file.number(f"tokenizer.ggml.{key}_token_id") for name, key in keys.items()}
    return {
        f"{name}_token": tokens[i]
        for name, i in ids.items()
        if i is not None and 0 <= i < len(tokens)
    }


def _byte_level(file: GgufFile, tokens: list[str]) -> tuple[Backend, bool]:
    """Byte-level BPE, and whether its texts begin with bos."""
    name = file.text("tokenizer.ggml.pre") or "default"
    pattern = PATTERNS.get(name)
    if pattern is None:
        raise ModelError(f"{file.path}: pre-tokenizer {name!r} is not known to this version")
    model = models.BPE(
        _vocabulary(tokens), _merges(file, tokens), ignore_merges=pattern.ignore_merges
    )
    backend = Backend(model)
    backend.pre_tokenizer = _splitter(pattern)
    backend.decoder = decoders.ByteLevel()
    return backend, pattern.start


def _vocabulary(tokens: list[str]) -> dict[str, int]:
    return {token: i for i, token in enumerate(tokens)}


def _merges(file: GgufFile, tokens: list[str]) -> list[tuple[str, str]]:
    """The file's merges, without those of tokens that it does not have."""
    known = set(tokens)
    halves = (
        # A token may hold a space only as its first character.
        (merge[:cut], merge[cut + 1 :])
        for merge in file.texts("tokenizer.ggml.merges")
        if (cut := merge.find(" ", 1)) > 0
    )
    return [(a, b) for a, b in halves if a in known and b in known and a + b in known]


def _splitter(pattern: Pattern) -> pre_tokenizers.PreTokenizer:
    splits = [pre_tokenizers.Split(Regex(split), "isolated") for split in pattern.splits]
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([*splits, last])


def _sentencepiece(
    file: GgufFile, tokens: list[str], merges: list[tuple[str, str]], *, prefix: bool = True
) -> Backend:
    """BPE over `▁` with byte fallback.

    Args:
        prefix: whether a space goes before a text, where the file does not say.
    """
    types = file.numbers("tokenizer.ggml.token_type")
    unknown = file.number("tokenizer.ggml.unknown_token_id")
    if unknown is None:
        unknown = next((i for i, kind in enumerate(types) if kind == _UNKNOWN), None)
    name = tokens[unknown] if unknown is not None and 0 <= unknown < len(tokens) else None
    backend = Backend(
        models.BPE(_vocabulary(tokens), merges, unk_token=name, fuse_unk=True, byte_fallback=True)
    )
    said = file.flag("tokenizer.ggml.add_space_prefix")
    prefix = prefix if said is None else said
    spaces = normalizers.Replace(" ", _SPACE)
    backend.normalizer = (
        normalizers.Sequence([normalizers.Prepend(_SPACE), spaces]) if prefix else spaces
    )
    backend.decoder = decoders.Sequence(
        [
            decoders.Replace(_SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            *([decoders.Strip(" ", 1, 0)] if prefix else []),
        ]
    )
    return backend


def _ranked_merges(file: GgufFile, tokens: list[str]) -> list[tuple[str, str]]:
    """Every pair of tokens whose union is a token, by the union's score down.

    Of one union the pair with the lower ids comes first, as SentencePiece trained it.
    """
    scores = file.numbers("tokenizer.ggml.scores")
    if len(scores) != len(tokens):
        raise ModelError(
            f"{file.path} is damaged: {len(scores):,} scores for {len(tokens):,} tokens;"
            " fetch it again"
        )
    pairs = sorted(_pairs(_vocabulary(tokens)), key=lambda x: (-scores[x[0]], x[1], x[2]))
    return [(left, right) for *_, left, right in pairs]


def _pairs(vocabulary: dict[str, int]) -> Iterator[tuple[int, int, int, str, str]]:
    """(id of the union, ids of its halves, the halves)."""
    for token, union in vocabulary.items():
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in vocabulary and right in vocabulary:
                yield union, vocabulary[left], vocabulary[right], left, right


def _add_tokens(backend: Backend, file: GgufFile, tokens: list[str]) -> None:
    """Control tokens become special; tokens that a user defined are found in any text."""
    types = file.numbers("tokenizer.ggml.token_type")[: len(tokens)]
    added = [
        AddedToken(tokens[i], special=kind != _USER_DEFINED, normalized=False)
        for i, kind in enumerate(types)
        if kind in (_UNKNOWN, _CONTROL, _USER_DEFINED) and tokens[i]
    ]
    backend.add_tokens([token for token in added if not token.special])
    backend.add_special_tokens([token for token in added if token.special])


def _set_start(backend: Backend, file: GgufFile, tokens: list[str], usual: bool) -> None:
    """Let a text begin with bos where the file, or else its kind, says so."""
    said = file.flag("tokenizer.ggml.add_bos_token")
    bos = file.number("tokenizer.ggml.bos_token_id")
    if not (usual if said is None else said) or bos is None or not 0 <= bos < len(tokens):
        return
    backend.post_processor = processors.TemplateProcessing(
        single=[tokens[bos], "$A"], pair=None, special_tokens=[(tokens[bos], bos)]
    )
