"""Tokenizers of GGUF files against llama.cpp's vocabularies and the ids that it gives."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from gptterm.engine.gguf.patterns import PATTERNS
from gptterm.engine.gguf.reader import read_header
from gptterm.engine.gguf.tokenizer import build_backend, end_ids, special_names
from gptterm.engine.text.token_bytes import byte_alphabet
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.errors import ModelError
from tests.engine.gguf.files import vocabulary, write_gguf
from tools.gguf_vocabularies import read_cases

FOLDER = Path(__file__).parent / "vocabularies"
NAMES = sorted(file.stem for file in FOLDER.glob("*.json"))
ALPHABET = sorted(byte_alphabet())


def load(path: Path, name: str) -> tuple[Tokenizer, list[tuple[str, list[int]]]]:
    """A reduced vocabulary as a file's tokenizer, and its cases in its own numbers."""
    saved: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    number = {id_: i for i, id_ in enumerate(saved["ids"])}
    metadata: dict[str, Any] = {
        key: number[value] if key.endswith("_id") and value is not None else value
        for key, value in saved["metadata"].items()
    }
    kind: str = metadata.pop("model")
    given = vocabulary(
        saved["tokens"], kind, saved["types"],
        scores=saved["scores"], merges=saved["merges"], **metadata,
    )  # fmt: skip
    file = write_gguf(path / f"{name}.gguf", given)
    cases = [(text, [number[id_] for id_ in ids]) for text, ids in saved["cases"]]
    return Tokenizer(build_backend(read_header(file))), cases


@pytest.mark.parametrize("name", NAMES)
def test_the_ids_are_llama_cpps(tmp_path: Path, name: str) -> None:
    tokenizer, cases = load(tmp_path, name)
    assert len(cases) >= 46
    for text, ids in cases:
        assert tokenizer.encode(text) == ids, text
        whole = tokenizer.decode(ids)
        # The space that a SentencePiece vocabulary puts before a text is not part of it.
        assert whole == text or tokenizer.kind == "sentencepiece", text


@pytest.mark.slow
@pytest.mark.skipif("LLAMA_CPP_MODELS" not in os.environ, reason="set LLAMA_CPP_MODELS")
@pytest.mark.parametrize("name", NAMES)
def test_the_ids_of_whole_vocabularies_are_llama_cpps(name: str) -> None:
    file = Path(os.environ["LLAMA_CPP_MODELS"]) / f"ggml-vocab-{name}.gguf"
    tokenizer = Tokenizer(build_backend(read_header(file)))
    for text, ids in read_cases(file):
        assert tokenizer.encode(text) == ids, text


def test_every_pattern_compiles(tmp_path: Path) -> None:
    for name in PATTERNS:
        file = write_gguf(tmp_path / "p.gguf", vocabulary(ALPHABET, pre=name))
        tokenizer = Tokenizer(build_backend(read_header(file)))
        text = "Hello  World, 1234's ünï 日本\n\n x"
        assert tokenizer.decode(tokenizer.encode(text)) == text, name


def test_bos_is_put_where_the_file_or_its_kind_says_so(tmp_path: Path) -> None:
    tokens = [*ALPHABET, "<s>", "</s>"]
    types = [1] * len(ALPHABET) + [3, 3]
    bos = len(ALPHABET)

    def starts(**rest: Any) -> tuple[int, ...]:
        given = vocabulary(tokens, types=types, bos_token_id=bos, **rest)
        file = write_gguf(tmp_path / "s.gguf", given)
        return Tokenizer(build_backend(read_header(file))).start_ids

    assert starts(pre="gpt-2") == ()
    assert starts(pre="gpt-2", add_bos_token=True) == (bos,)
    assert starts(pre="llama-bpe") == (bos,)
    assert starts(pre="llama-bpe", add_bos_token=False) == ()


def test_the_ends_are_a_set(tmp_path: Path) -> None:
    """eos says one thing, the chat format another: a reply ends at both."""
    tokens = [*ALPHABET, "<|endoftext|>", "<|im_end|>", "<|eom|>", "<end_of_turn>", "</s>"]
    types = [1] * len(ALPHABET) + [3, 3, 3, 3, 1]
    first = len(ALPHABET)
    given = vocabulary(
        tokens, types=types, pre="gpt-2",
        eos_token_id=first, eot_token_id=first + 1, eom_token_id=first + 2, bos_token_id=first,
    )  # fmt: skip
    header = read_header(write_gguf(tmp_path / "e.gguf", given))
    # `</s>` is an ordinary word of this vocabulary.
    assert end_ids(header) == {first, first + 1, first + 2, first + 3}
    assert special_names(header) == {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "holds no tokenizer"),
        (vocabulary(ALPHABET, pre="martian"), "'martian' is not known"),
        (vocabulary(ALPHABET, "bert"), "of kind 'bert'"),
        (vocabulary(ALPHABET, "llama", scores=[1.0]), "1 scores for 256 tokens"),
    ],
)
def test_a_tokenizer_that_is_not_read(
    tmp_path: Path, metadata: dict[str, object], message: str
) -> None:
    file = read_header(write_gguf(tmp_path / "x.gguf", metadata))
    with pytest.raises(ModelError, match=message):
        build_backend(file)
