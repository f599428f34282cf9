"""Encoding and pieces, for every family of tokenizers, and reading a directory's files."""

import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import AddedToken, models, pre_tokenizers, processors
from tokenizers import Tokenizer as Backend

from gptterm.engine.runtime import transformers_import
from gptterm.engine.text import tokenizer as module
from gptterm.engine.text.tokenizer import Tokenizer
from gptterm.engine.text.tokenizer_files import load_tokenizer
from gptterm.errors import ModelError
from tests.engine.text.vocabularies import (
    BYTE_FAMILIES,
    FAMILIES,
    TEXTS,
    backend,
    llama,
    tokenizer,
)
from tests.support.gpt2 import END_OF_TEXT, train_tokenizer, write_gpt2

families = pytest.mark.parametrize("family", FAMILIES)
LONG = " ".join(TEXTS[0] for _ in range(40))


# ------------------------------------------------------------------------------------ pieces


@pytest.mark.parametrize("family", BYTE_FAMILIES)
def test_every_tokens_piece_is_what_the_library_decodes_it_to(family: str) -> None:
    of, library = tokenizer(family), backend(family)
    anchor = library.encode("a", add_special_tokens=False).ids
    before = library.decode(anchor)
    for token_id in range(of.vocab_size):
        if token_id in of.special_ids:
            assert of.piece(token_id) == (library.id_to_token(token_id) or "").encode()
            continue
        # A byte that is no character by itself decodes to U+FFFD, as Python would have it.
        text = library.decode([*anchor, token_id])
        assert of.piece(token_id).decode(errors="replace") == text.removeprefix(before)


def test_pieces_of_words_and_their_parts() -> None:
    of = tokenizer("wordpiece")
    ids = of.encode("sentences")
    assert b"".join(of.piece(i) for i in ids) == b"sentences"
    assert len(ids) > 1
    assert [tokenizer("gpt-1").piece(i) for i in tokenizer("gpt-1").encode("the")] == [b"the "]


def test_an_id_that_is_not_there_has_no_piece_and_no_text() -> None:
    for family in FAMILIES:
        of = tokenizer(family)
        assert of.piece(of.vocab_size) == b""
        assert of.decode([of.vocab_size]) == ""


def test_pieces_of_a_byte_level_text_are_its_bytes() -> None:
    of = tokenizer("byte-level")
    for text in TEXTS:
        assert b"".join(of.piece(i) for i in of.encode(text)) == text.encode()


# ---------------------------------------------------------------------------------- encoding


@families
@pytest.mark.parametrize("text", [*TEXTS, "", " ", "\n\n", "\x00"])
def test_ordinary_text_is_encoded_as_the_library_does(family: str, text: str) -> None:
    expected = backend(family).encode(text, add_special_tokens=False).ids
    assert tokenizer(family).encode(text) == expected


@families
def test_the_name_of_a_special_token_is_ordinary_characters(family: str) -> None:
    of = tokenizer(family)
    names = {i for i in of.special_ids if b"nk" not in of.piece(i).lower()}
    for name in of.specials:
        for text in (name, f"a{name}b", f"a {name} b", f"{name}{name}", f"the {name[:-1]}"):
            assert names.isdisjoint(of.encode(text)), text


def test_a_name_keeps_its_characters_where_they_are_known() -> None:
    for family in ("byte-level", "llama"):
        of = tokenizer(family)
        for name in of.specials:
            assert of.decode(of.encode(f"a {name} b")) == f"a {name} b"


def test_a_name_of_one_character_cannot_be_cut_and_is_left_out() -> None:
    made = Backend(models.WordLevel({"a": 0, "§": 1, "b": 2, "?": 3}, unk_token="?"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.add_special_tokens(["§"])
    of = Tokenizer(made)
    assert b"".join(of.piece(i) for i in of.encode("a § b")) == b"ab"


def test_a_name_that_a_normaliser_makes_is_ordinary_too() -> None:
    of = tokenizer("unigram")
    assert of.specials["</s>"].id not in of.encode("a ＜/s＞ b")


@pytest.mark.parametrize("prepend", ["first", "always", "normaliser"])
def test_no_space_is_added_inside_a_prompt(prepend: str) -> None:
    of = Tokenizer(llama(prepend))
    spaced, plain = of.encode("king"), of.encode("king", "inside")
    assert of.piece(spaced[0]).startswith(b" ")
    assert b"".join(of.piece(i) for i in plain) == b"king"
    # The tokenizer is as it was.
    assert of.encode("king") == spaced


def test_no_space_is_added_inside_a_byte_level_prompt() -> None:
    made = train_tokenizer()
    made.pre_tokenizer.add_prefix_space = True
    of = Tokenizer(made)
    assert b"".join(of.piece(i) for i in of.encode("king")) == b" king"
    assert b"".join(of.piece(i) for i in of.encode("king", "inside")) == b"king"


@families
def test_after_a_special_token_text_is_encoded_as_the_library_does_there(family: str) -> None:
    of, library = tokenizer(family), backend(family)
    for name, special in of.specials.items():
        whole = library.encode(f"{name}the king", add_special_tokens=False).ids
        assert [special.id, *of.encode("the king", "after special")] == whole


@families
def test_a_long_text_in_parts_is_encoded_as_the_whole(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tokenizer(family).encode(LONG)
    for part in (50, 77, 500):
        monkeypatch.setattr(module, "_CHUNK_CHARS", part)
        assert tokenizer(family).encode(LONG) == whole


@given(text=st.text(max_size=200), part=st.integers(5, 60))
@example(text="Good night!", part=5)  # a space ends the first part, and begins the word after it
def test_no_character_is_lost_between_parts(text: str, part: int) -> None:
    of = tokenizer("byte-level")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK_CHARS", part)
        assert b"".join(of.piece(i) for i in of.encode(text)) == text.encode()


# ------------------------------------------------------------------------------- start tokens


def test_start_tokens() -> None:
    assert tokenizer("byte-level").start_ids == ()
    assert tokenizer("llama").start_ids == (tokenizer("llama").specials["<s>"].id,)
    both = llama()
    both.post_processor = processors.TemplateProcessing(
        single="<s> <s> $A </s>", pair=None, special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    assert Tokenizer(both).start_ids == (1, 1)


# ------------------------------------------------------------------------------------- files


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gpt2(tmp_path_factory.mktemp("tokenizers") / "gpt2")


def copy(files: dict[str, str | bytes], to: Path) -> Path:
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (to / name).write_bytes(data)
    return to


def test_vocabulary_and_merges_are_enough(gpt2: Path, tmp_path: Path) -> None:
    whole = json.loads((gpt2 / "tokenizer.json").read_text())
    vocabulary = whole["model"]["vocab"] | {END_OF_TEXT: 383}
    merges = "\n".join(" ".join(pair) for pair in whole["model"]["merges"])
    copy({"vocab.json": json.dumps(vocabulary), "merges.txt": "#version: 0.2\n" + merges}, tmp_path)
    one, other = load_tokenizer(gpt2), load_tokenizer(tmp_path)
    for text in [*TEXTS, f"a {END_OF_TEXT} b"]:
        assert one.encode(text) == other.encode(text)
    assert other.special_ids == {383}


def test_end_tokens_are_gathered_from_all_files(gpt2: Path, tmp_path: Path) -> None:
    copy(
        {
            "tokenizer.json": (gpt2 / "tokenizer.json").read_bytes(),
            "tokenizer_config.json": json.dumps({"eos_token": {"content": "a", "special": True}}),
            "config.json": json.dumps({"eos_token_id": 5}),
            "generation_config.json": json.dumps({"eos_token_id": [6, 7, 99999, None]}),
        },
        tmp_path,
    )
    vocabulary = json.loads((gpt2 / "tokenizer.json").read_text())["model"]["vocab"]
    assert load_tokenizer(tmp_path).end_ids == {5, 6, 7, 383, vocabulary["a"]}


def test_older_repositories_name_their_special_tokens_elsewhere(gpt2: Path, tmp_path: Path) -> None:
    copy(
        {
            "tokenizer.json": (gpt2 / "tokenizer.json").read_bytes(),
            "tokenizer_config.json": json.dumps({"pad_token": None, "add_bos_token": True}),
            "special_tokens_map.json": json.dumps(
                {"bos_token": END_OF_TEXT, "eos_token": {"content": END_OF_TEXT}}
            ),
        },
        tmp_path,
    )
    of = load_tokenizer(tmp_path)
    assert of.template_tokens == {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT}
    assert of.end_ids == {383}


@pytest.mark.parametrize(
    ("settings", "file", "expected"),
    [
        ({}, None, None),
        ({"chat_template": "a"}, None, "a"),
        ({"chat_template": "a"}, "b", "b"),
        (
            {
                "chat_template": [
                    {"name": "tool_use", "template": "t"},
                    {"name": "default", "template": "d"},
                ]
            },
            None,
            "d",
        ),
        ({"chat_template": [{"name": "rag", "template": "r"}]}, None, "r"),
        ({"chat_template": {"rag": "r", "chat": "c"}}, None, "c"),
    ],
)
def test_where_a_chat_template_may_be(
    gpt2: Path, tmp_path: Path, settings: dict[str, object], file: str | None, expected: str | None
) -> None:
    copy(
        {
            "tokenizer.json": (gpt2 / "tokenizer.json").read_bytes(),
            "tokenizer_config.json": json.dumps(settings),
        },
        tmp_path,
    )
    if file is not None:
        copy({"chat_template.jinja": file}, tmp_path)
    assert load_tokenizer(tmp_path).chat_template == expected


def test_gpt1_from_its_two_files_is_as_the_transformers_library_has_it(tmp_path: Path) -> None:
    model = json.loads(backend("gpt-1").to_str())["model"]
    merges = "\n".join(" ".join(pair) for pair in model["merges"])
    copy(
        {
            "vocab.json": json.dumps(model["vocab"]),
            "merges.txt": "#version: 0.2\n" + merges,
            "config.json": json.dumps({"model_type": "openai-gpt"}),
        },
        tmp_path,
    )
    of = load_tokenizer(tmp_path)
    assert of.kind == "other"
    assert of.decode(of.encode("The King")) == "the king"
    assert of.special_ids == {model["vocab"]["<unk>"]}
    with transformers_import.transformers() as transformers:
        expected = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in [*TEXTS, "Ünder – the KING's crown,\n\n  don't!", "新 🙂 a\tb", ""]:
        ids = [i for i in expected(text)["input_ids"] if i not in of.special_ids]
        assert [i for i in of.encode(text) if i not in of.special_ids] == ids


def test_any_other_kind_is_converted_by_the_transformers_library(tmp_path: Path) -> None:
    vocabulary = json.loads(backend("wordpiece").to_str())["model"]["vocab"]
    copy(
        {
            "vocab.txt": "\n".join(sorted(vocabulary, key=vocabulary.__getitem__)),
            "tokenizer_config.json": json.dumps({"tokenizer_class": "BertTokenizer"}),
        },
        tmp_path,
    )
    of = load_tokenizer(tmp_path)
    assert of.kind == "other"
    assert of.encode("sentences") == tokenizer("wordpiece").encode("sentences")


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"tokenizer.json": "{"},
        {"tokenizer.json": "{}"},
        {"tokenizer.json": b"\xff\xfe"},
        {"vocab.json": "[]", "merges.txt": "a b"},
    ],
)
def test_a_tokenizer_that_cannot_be_read_is_one_line(
    files: dict[str, str | bytes], tmp_path: Path
) -> None:
    copy(files, tmp_path)
    with pytest.raises(ModelError) as caught:
        load_tokenizer(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_damaged_settings_file_is_named(gpt2: Path, tmp_path: Path) -> None:
    copy({"tokenizer.json": (gpt2 / "tokenizer.json").read_bytes()}, tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(ModelError, match=r"tokenizer_config\.json cannot be read"):
        load_tokenizer(tmp_path)


def test_how_special_tokens_treat_white_space() -> None:
    made = Backend.from_str(backend("byte-level").to_str())
    made.add_special_tokens(
        [AddedToken("<|user|>", rstrip=True), AddedToken("<mask>", lstrip=True)]
    )
    specials = Tokenizer(made).specials
    assert (specials["<|user|>"].lstrip, specials["<|user|>"].rstrip) == (False, True)
    assert (specials["<mask>"].lstrip, specials["<mask>"].rstrip) == (True, False)
