"""Small tokenizers of every family that causal language models use, trained on a few sentences."""

from functools import cache

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from gptterm.engine.text.tokenizer import Tokenizer
from tests.support.gpt2 import END_OF_TEXT, SENTENCES, train_tokenizer

TEXTS = [*SENTENCES, "naïve café, 人工智能科学家 and 🌶️ — don't you know?\n\n\tindented  twice"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def byte_level() -> Backend:
    """GPT-2's kind."""
    return train_tokenizer()


def llama(prepend: str = "first") -> Backend:
    """BPE with byte fallback over `▁`; `prepend` is a Metaspace scheme, or "normaliser".

    As in Llama's files, the bytes are ordinary tokens and `<s>` and `</s>` are special.
    """
    trained = Backend(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trained.train_from_iterator(
        TEXTS[:3],
        trainers.BpeTrainer(
            vocab_size=480, special_tokens=["<unk>", "<s>", "</s>", *BYTES], show_progress=False
        ),
    )
    backend = Backend.from_str(trained.to_str())
    model = backend.model
    model.byte_fallback, model.unk_token, model.fuse_unk = True, "<unk>", True
    plain = Backend(model)
    plain.add_special_tokens(["<unk>", "<s>", "</s>"])
    if prepend == "normaliser":
        plain.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
    else:
        plain.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prepend, split=False)
    plain.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            *([] if prepend == "never" else [decoders.Strip(" ", 1, 0)]),
        ]
    )
    plain.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair=None, special_tokens=[("<s>", 1)]
    )
    return plain


def unigram() -> Backend:
    """XGLM's kind: the special tokens are words of the model too."""
    backend = Backend(models.Unigram())
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    backend.train_from_iterator(
        TEXTS,
        trainers.UnigramTrainer(
            vocab_size=150,
            special_tokens=["<s>", "<unk>", "</s>"],
            unk_token="<unk>",
            show_progress=False,
        ),
    )
    return backend


def gpt1() -> Backend:
    """BPE with `</w>` at the end of a word, lower-cased."""
    backend = Backend(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.BPEDecoder(suffix="</w>")
    backend.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=200,
            special_tokens=["<unk>"],
            end_of_word_suffix="</w>",
            show_progress=False,
        ),
    )
    return backend


def wordpiece() -> Backend:
    """BERT's kind, which Chinese GPT-2 models have."""
    backend = Backend(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.train_from_iterator(
        TEXTS,
        trainers.WordPieceTrainer(
            vocab_size=200, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False
        ),
    )
    return backend


def words() -> Backend:
    """Whole words and no decoder at all."""
    backend = Backend(models.WordLevel(unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.train_from_iterator(
        TEXTS, trainers.WordLevelTrainer(special_tokens=["[UNK]", "[SEP]"], show_progress=False)
    )
    return backend


FAMILIES = {
    "byte-level": byte_level,
    "llama": llama,
    "llama, prefix by its normaliser": lambda: llama("normaliser"),
    "llama, prefix everywhere": lambda: llama("always"),
    "llama, no prefix": lambda: llama("never"),
    "unigram": unigram,
    "gpt-1": gpt1,
    "wordpiece": wordpiece,
    "words": words,
}
BYTE_FAMILIES = [name for name in FAMILIES if "llama" in name or name in ("byte-level", "unigram")]
OTHER_FAMILIES = [name for name in FAMILIES if name not in BYTE_FAMILIES]


@cache
def backend(family: str) -> Backend:
    """A tokenizer of the library that nobody has changed; do not."""
    return FAMILIES[family]()


@cache
def tokenizer(family: str) -> Tokenizer:
    """The same as gptterm's, shared by the tests."""
    made = Backend.from_str(backend(family).to_str())
    end = made.token_to_id(END_OF_TEXT)
    return Tokenizer(made, frozenset() if end is None else frozenset([end]))
